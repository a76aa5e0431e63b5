import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry, Segment } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { Tree } from '../../tree/tree.ts';
import { hashOf, writeToFile } from '../output.ts';
import { mayMount, mounted } from './mount.fixture.ts';
import { type Ext4Options, planExt4 } from './plan.ts';
import { openExt4 } from './read.ts';
import { encodeSuperblock } from './superblock.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-ext4-'));
afterAll(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'image');

const MIB = 1024 ** 2;
const options: Ext4Options = {
  uuid: Buffer.from('0123456789abcdef'),
  hashSeed: Buffer.from('a seed of hashes'),
  label: 'root',
  time: 1_700_000_000,
  size: 64 * MIB,
};
const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1_600_000_000 };
const file = (path: string, content: string | Uint8Array): Entry => fileEntry(path, content, owner);

function treeOf(entries: readonly Entry[]): Tree {
  const tree = new Tree();
  tree.merge(entries);
  return tree;
}

describe('an ext4 filesystem', () => {
  it('keeps sockets, though archives do not', async () => {
    await writeToFile(planExt4(treeOf([{ ...owner, path: 's', kind: 'socket' }]), options), image);
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    const said = execFileSync('debugfs', ['-R', 'stat s', image], { encoding: 'utf8', stdio: 'pipe' });
    expect(said).toContain('Type: socket');
    const reader = openExt4(image);
    expect(reader.stat('s')?.kind).toBe('socket');
    reader.close();
  });

  it('is read however deep it is', async () => {
    const path = Array(4000).fill('d').join('/');
    await writeToFile(planExt4(treeOf([file(`${path}/f`, 'down here')]), options), image);
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    const reader = openExt4(image);
    expect([...reader.entries()].at(-2)?.path).toBe(`${path}/f`);
    reader.close();
  });

  it('has extent trees of several levels, and files across the copies of the superblock', async () => {
    const filler = join(folder, 'filler');
    writeFileSync(filler, 'the start');
    truncateSync(filler, 150 * MIB);
    const bytes = { at: 'file', file: filler, offset: 0, length: 150 * MIB } as const;
    const segments = Array.from({ length: 3000 }, (_, i): Segment => {
      return { offset: i * 20_000, bytes: { at: 'memory', bytes: Buffer.from(`run ${i}`) } };
    });
    const tree = treeOf([
      { ...owner, path: 'a filler', kind: 'file', size: 150 * MIB, segments: [{ offset: 0, bytes }] },
      { ...owner, path: 'many runs', kind: 'file', size: 60 * MIB, segments },
    ]);
    await writeToFile(planExt4(tree, { ...options, size: { reserve: 0 } }), image);
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    const reader = openExt4(image);
    expect(reader.read('many runs', 2999 * 20_000, 8).toString()).toBe('run 2999');
    reader.close();
    const expected = Buffer.alloc(60 * MIB);
    for (const [i, { offset }] of segments.entries()) expected.write(`run ${i}`, offset);
    if (!mayMount) return;
    mounted(image, (at) => {
      expect(readFileSync(at('many runs')).equals(expected)).toBe(true);
      execFileSync('cmp', [at('a filler').toString(), filler]);
    });
  });

  it('is found by the reader through links, and nothing else is', async () => {
    const tree = treeOf([
      file('usr/lib/a', 'found'),
      { ...owner, path: 'lib', kind: 'symlink', target: 'usr/lib' },
      { ...owner, path: 'usr/up', kind: 'symlink', target: '/lib/../lib' },
      { ...owner, path: 'round', kind: 'symlink', target: 'round' },
    ]);
    await writeToFile(planExt4(tree, options), image);
    const reader = openExt4(image);
    expect(reader.read('lib/a').toString()).toBe('found');
    expect(reader.read('usr/up/a', 1, 3).toString()).toBe('oun');
    expect(reader.stat('round/a')).toBeUndefined();
    expect(reader.stat('lib/b')).toBeUndefined();
    expect(() => reader.read('lib')).toThrow('/lib is not a file');
    expect(reader.superblock).toMatchObject({ label: 'root', blocks: 16_384, time: options.time });
    reader.close();
  });

  it('is written in ascending order, just the ranges it maps: few', async () => {
    const tree = treeOf([file('a', Buffer.alloc(MIB))]);
    const volume = planExt4(tree, { ...options, size: 2048 * MIB });
    // What is in use, and copies of the superblock in groups 1, 3, 5, 7 and 9.
    expect(volume.mapped.length).toBe(6);
    let last = 0;
    let written = 0;
    await volume.write({
      write: (at, bytes) => {
        expect(at).toBeGreaterThanOrEqual(last);
        expect(volume.mapped.some(({ start, end }) => start <= at && at + bytes.length <= end)).toBe(true);
        last = at + bytes.length;
        written += bytes.length;
      },
    });
    expect(written).toBe(volume.mapped.reduce((sum, { start, end }) => sum + end - start, 0));
  });

  it('is the same bytes each time, in whatever order the entries came', async () => {
    const entries = Array.from({ length: 500 }, (_, i) => file(`d${i % 7}/${i}`, `${i}`));
    const hash = await hashOf(planExt4(treeOf(entries), options));
    expect(await hashOf(planExt4(treeOf([...entries].reverse()), options))).toBe(hash);
  });

  it('is not read where there is none, nor with features that are not known', () => {
    writeFileSync(image, Buffer.alloc(4096));
    expect(() => openExt4(image)).toThrow(expect.objectContaining({ kind: 'unsupported' }));
    expect(() => openExt4(join(folder, 'nothing'))).toThrow(expect.objectContaining({ kind: 'io' }));
  });
});

it('copies of the superblock beyond 8 TiB name a group that 16 bits can say', () => {
  const identity = { uuid: Buffer.alloc(16), hashSeed: Buffer.alloc(16), label: 'x', time: 0 };
  const counts = { blocks: 2 ** 32 - 1, inodes: 16, inodesPerGroup: 16, freeBlocks: 0, freeInodes: 0 };
  const groupOf = (group: number): number => encodeSuperblock(identity, counts, group).readUInt16LE(90);
  expect([groupOf(3), groupOf(5 ** 7)]).toEqual([3, 65_535]);
});
