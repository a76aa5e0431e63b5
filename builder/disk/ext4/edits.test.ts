// A small edit of a tree changes few blocks of its filesystem: updates stay small.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fileEntry } from '../../tree/overlay.ts';
import { Tree } from '../../tree/tree.ts';
import { writeToFile } from '../output.ts';
import { planExt4 } from './plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-edits-'));
afterAll(() => rmSync(folder, { recursive: true }));
const block = 4096;
const size = 128 * 1024 ** 2;
const identity = { uuid: Buffer.alloc(16, 7), hashSeed: Buffer.alloc(16, 9), label: 'root', time: 1e9 };

/** 6,000 files of up to 40 KiB in 150 folders, each with bytes of its own. */
function files(): Map<string, Uint8Array> {
  const made = new Map<string, Uint8Array>();
  for (let i = 0, state = 1; i < 6000; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const bytes = Buffer.alloc((state >>> 8) % (i % 10 === 0 ? 40_000 : 8000), `${i} `);
    made.set(`usr/lib/folder-${i % 150}/file-${i}`, bytes);
  }
  return made;
}

async function imageOf(tree: ReadonlyMap<string, Uint8Array>): Promise<Buffer> {
  const merged = new Tree();
  merged.merge([...tree].map(([path, bytes]) => fileEntry(path, bytes, { mode: 0o644, mtime: 1e9 })));
  const file = join(folder, 'image');
  await writeToFile(planExt4(merged, { ...identity, size }), file);
  merged.close();
  return readFileSync(file);
}

function differing(a: Buffer, b: Buffer): number {
  let count = 0;
  for (let at = 0; at < size; at += block) {
    if (!a.subarray(at, at + block).equals(b.subarray(at, at + block))) count++;
  }
  return count;
}

describe('of about 12,000 blocks', async () => {
  const before = await imageOf(files());
  const grown = (by: number) => (tree: Map<string, Uint8Array>, path: string) => {
    tree.set(path, Buffer.concat([tree.get(path) ?? Buffer.alloc(0), Buffer.alloc(by, 'x')]));
  };
  const edits: [
    what: string,
    edit: (tree: Map<string, Uint8Array>, path: string) => void,
    typical: number,
    most: number,
  ][] = [
    [
      'a file of the same size',
      (tree, path) => tree.set(path, Buffer.alloc(tree.get(path)?.length ?? 0, 'y')),
      3,
      12,
    ],
    ['a file grown by five bytes', grown(5), 3, 12],
    ['a file grown by a block', grown(block), 150, 1000],
    ['a file added', (tree, path) => tree.set(`${path}.new`, Buffer.from('new')), 150, 1000],
    ['a file removed', (tree, path) => tree.delete(path), 150, 1000],
  ];
  it.each(edits)('%s changes few', { timeout: 60_000 }, async (_what, edit, typical, most) => {
    const counts: number[] = [];
    for (const i of [3, 700, 1999, 3333, 5555]) {
      const tree = files();
      edit(tree, `usr/lib/folder-${i % 150}/file-${i}`);
      counts.push(differing(before, await imageOf(tree)));
    }
    counts.sort((a, b) => a - b);
    expect(counts[2]).toBeLessThanOrEqual(typical);
    expect(counts.at(-1)).toBeLessThanOrEqual(most);
  });
});

it('longer tables of inodes seldom move files', { timeout: 60_000 }, async () => {
  const tree = (empty: number): Map<string, Uint8Array> => {
    const made = new Map<string, Uint8Array>();
    for (let i = 0; i < 100; i++) made.set(`a/${i}`, Buffer.alloc(20 * block, `${i} `));
    for (let i = 0; i < empty; i++) made.set(`z/${i}`, Buffer.alloc(0));
    return made;
  };
  const moved: number[] = [];
  for (const count of [1000, 2000, 4000, 8000]) {
    moved.push(differing(await imageOf(tree(count)), await imageOf(tree(count * 1.2))));
  }
  // Tables and the directory differ, and the 2,000 blocks of files where a round number was passed.
  expect(moved.filter((blocks) => blocks < 1200).length, `${moved}`).toBeGreaterThanOrEqual(3);
});
