// What a tree holds is not kept in memory, whatever it is: seen in processes of their own.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayMount } from './mount.fixture.ts';
import { openExt4 } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-memory-'));
const program = join(folder, 'memory.mjs');
const image = join(folder, 'image');
const content = join(folder, 'content');
const count = 30_000;

/** Empty directories. */
const folders = 200_000;
/** Long names that begin alike, all in one directory. */
const names = 100_000;

const source = `
import { planExt4 } from './plan.ts';
import { writeToFile } from '../output.ts';
import { Tree } from '../../tree/tree.ts';
const [what, content, image] = process.argv.slice(2);
const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1e9 };
const make = {
  attributes: (i) => ({ size: 0, segments: [], xattrs: [['user.own', Buffer.alloc(3900, i + ' ')]] }),
  holes: (i) => ({
    size: 20 * 8192,
    segments: Array.from({ length: 20 }, (_, j) => {
      return { offset: j * 8192, bytes: { at: 'file', file: content, offset: i + j, length: 10 } };
    }),
  }),
  // Each directory's entries are far apart, in the order they come.
  everything: (i) => ({
    path: 'd' + (i % 100) + '/' + String(i * 7919 % ${count}).padStart(255, 'n'),
    kind: 'symlink',
    target: String(i).padStart(4000, 't'),
    xattrs: [['trusted.own', Buffer.alloc(3900, i + ' ')]],
  }),
};
const tree = new Tree();
tree.merge((function* () {
  if (what === 'names') for (let i = 0; i < ${names}; i++)
    yield { ...owner, path: 'd/' + String(i * 7919 % ${names}).padStart(255, 'n'), kind: 'file', size: 0, segments: [] };
  else if (what === 'folders') for (let i = 0; i < ${folders}; i++)
    yield { ...owner, path: 'd' + (i % 1000) + '/' + i, kind: 'directory' };
  else for (let i = 0; i < ${count}; i++) yield { ...owner, path: 'd' + (i % 100) + '/' + i, kind: 'file', ...make[what](i) };
})());
const identity = { uuid: Buffer.alloc(16, 7), hashSeed: Buffer.alloc(16, 9), label: 'large', time: 1e9 };
const plan = planExt4(tree, { ...identity, size: { reserve: 0 } });
if (what === 'attributes') await writeToFile(plan, image);
console.log(process.resourceUsage().maxRSS / 1024);
`;

beforeAll(async () => {
  const stdin = { contents: source, resolveDir: import.meta.dirname, loader: 'ts' as const };
  await build({ stdin, outfile: program, bundle: true, platform: 'node', format: 'esm', target: 'node20' });
  writeFileSync(content, Buffer.alloc(count + 100));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ['attributes', 160],
  ['holes', 160],
  ['everything', 170],
])(`for ${count} entries each with %s of its own`, (what, most) => {
  it(`at most ${most} MB are taken`, { timeout: 120_000 }, () => {
    const said = execFileSync(process.execPath, [program, what, content, image], { encoding: 'utf8' });
    expect(Number(said)).toBeLessThan(most);
    if (what !== 'attributes') return;
    const reader = openExt4(image);
    for (const i of [0, 99, 15_000, count - 1]) {
      const [name, value] = reader.stat(`d${i % 100}/${i}`)?.xattrs?.[0] ?? [];
      expect([name, Buffer.from(value ?? []).equals(Buffer.alloc(3900, `${i} `))]).toEqual([
        'user.own',
        true,
      ]);
    }
    reader.close();
  });
});

it(`${names} names of 255 bytes in one directory take a heap of at most 64 MB`, { timeout: 240_000 }, () => {
  const said = execFileSync(process.execPath, ['--max-old-space-size=64', program, 'names'], {
    encoding: 'utf8',
  });
  expect(Number(said)).toBeLessThan(230);
});

it(`${folders} empty directories take at most 180 MB`, { timeout: 240_000 }, () => {
  const said = execFileSync(process.execPath, [program, 'folders'], { encoding: 'utf8' });
  expect(Number(said)).toBeLessThan(180);
});

it.skipIf(!mayMount)('where temporary files find no room is said', { timeout: 120_000 }, () => {
  const small = join(folder, 'small');
  mkdirSync(small);
  const script = 'mount -t tmpfs -o size=1000k none "$1" && TMPDIR="$1" exec "$2" "$3" attributes';
  const args = ['--mount', 'sh', '-c', script, 'sh', small, process.execPath, program];
  const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toContain("what: 'there is no space left to write to'");
  expect(stderr).toContain(`where: '${small}'`);
});
