// Trees of 100,000 and 500,000 entries through the ext4 writer, in a process of its own: its memory is bounded.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openExt4 } from '../../builder/disk/ext4/read.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-large-'));
const program = join(folder, 'large.mjs');
const image = join(folder, 'image');
const content = join(folder, 'content');
const root = join(import.meta.dirname, '../..');

/** Makes a tree of so many files, 500 in a folder, each with up to 8 KiB of one content file. */
const source = `
import { planExt4 } from './builder/disk/ext4/plan.ts';
import { writeToFile } from './builder/disk/output.ts';
import { Tree } from './builder/tree/tree.ts';
const [count, content, image] = process.argv.slice(2);
const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1e9 };
function* entries() {
  for (let i = 0; i < Number(count); i++) {
    const size = (i * 7919) % 8192;
    const bytes = { at: 'file', file: content, offset: (i * 31) % 100000, length: size };
    const path = 'data/folder-' + Math.floor(i / 500) + '/a file with number ' + i;
    yield { ...owner, path, kind: 'file', size, segments: size === 0 ? [] : [{ offset: 0, bytes }] };
  }
}
const tree = new Tree();
tree.merge(entries());
const identity = { uuid: Buffer.alloc(16, 7), hashSeed: Buffer.alloc(16, 9), label: 'large', time: 1e9 };
await writeToFile(planExt4(tree, { ...identity, size: { reserve: 1 << 20 } }), image);
console.log(process.resourceUsage().maxRSS / 1024);
`;

beforeAll(async () => {
  const stdin = { contents: source, resolveDir: root, loader: 'ts' as const };
  await build({ stdin, outfile: program, bundle: true, platform: 'node', format: 'esm', target: 'node20' });
  writeFileSync(content, Buffer.alloc(110_000, 'edgekiln '));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('the ext4 writer', () => {
  it.each([
    [100_000, 200],
    [500_000, 230],
  ])('for %i files takes at most %i MB', (count, most) => {
    const said = execFileSync(process.execPath, [program, `${count}`, content, image], { encoding: 'utf8' });
    console.log(`${count} files: ${Number(said).toFixed(0)} MB at most`);
    expect(Number(said)).toBeLessThan(most);
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    const reader = openExt4(image);
    for (const i of [0, 1, 499, 500, 77_777, count - 1]) {
      const path = `data/folder-${Math.floor(i / 500)}/a file with number ${i}`;
      const expected = Buffer.alloc(110_000, 'edgekiln ').subarray((i * 31) % 100_000);
      expect(reader.read(path).equals(expected.subarray(0, (i * 7919) % 8192)), path).toBe(true);
    }
    reader.close();
    rmSync(image);
  });
});
