import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { Tree } from '../../tree/tree.ts';
import { writeToFile } from '../output.ts';
import { planFat } from './plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'fat-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MiB = 1024 ** 2;
const mtime = Date.UTC(2026, 10, 21, 10, 30, 42) / 1000;
const options = { label: 'EDGEKILN', serial: 0x1234abcd };
const tool = (program: string, ...args: string[]) =>
  execFileSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' },
  });

function treeOf(files: Readonly<Record<string, Uint8Array | string>>): Tree {
  const tree = new Tree();
  tree.merge(
    Object.entries(files).map(([path, content]) => fileEntry(path, content, { mode: 0o644, mtime })),
  );
  return tree;
}

/** Writes, lets fsck.vfat judge, and reads every file back by mtools. */
async function checked(files: Readonly<Record<string, Uint8Array | string>>, size: number, type: 16 | 32) {
  const image = join(folder, 'image');
  const volume = planFat(treeOf(files), { ...options, size, type });
  await writeToFile(volume, image);
  const said = tool('fsck.vfat', '-n', image);
  expect(said).not.toMatch(/differ|error|wrong|dirty|orphan|free cluster summary/i);
  for (const [path, content] of Object.entries(files)) {
    const read = execFileSync('mtype', ['-i', image, `::${path}`]);
    expect(read.equals(Buffer.from(content))).toBe(true);
  }
  return { image, volume };
}

const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_. +,=é-]{0,30}[A-Za-z0-9_]$/);

describe.each([16, 32] as const)('FAT%i', (type) => {
  const size = type === 32 ? 64 * MiB : 8 * MiB;

  it('holds long, short and many names, and empty and large files', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`many/a file with a long name ${i}.txt`, `${i}`]),
    );
    await checked(
      {
        'EFI/BOOT/BOOTX64.EFI': Buffer.alloc(900_001, 7),
        'EFI/debian/grub.cfg': 'set timeout=0\n',
        'README.TXT': 'short',
        'readme2.txt': 'small letters',
        'a.b.c.tar.gz': 'dots',
        empty: '',
        ...many,
      },
      size,
      type,
    );
  });

  it('holds whatever trees there are', { timeout: 120_000 }, async () => {
    const content = fc.uint8Array({ maxLength: 5000 });
    const files = fc.dictionary(
      fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      content,
      { maxKeys: 8 },
    );
    const distinct = files.filter((some) => {
      // Names that differ in capitals only, or are file and directory at once, are refused; that is tested below.
      const paths = Object.keys(some).flatMap((path) =>
        path.split('/').map((_, depth, parts) => parts.slice(0, depth + 1).join('/')),
      );
      const byFold = new Map<string, string>();
      for (const path of paths) {
        if ((byFold.get(path.toUpperCase()) ?? path) !== path) return false;
        byFold.set(path.toUpperCase(), path);
      }
      return Object.keys(some).every(
        (path) => !Object.keys(some).some((other) => other.startsWith(`${path}/`)),
      );
    });
    await fc.assert(
      fc.asyncProperty(distinct, async (some) => void (await checked(some, size, type))),
      { numRuns: 15 },
    );
  });
});

describe('a FAT', () => {
  it('is listed by mtools with label, serial, sizes and times', async () => {
    const { image } = await checked({ 'EFI/edgekiln/s0.env': 'state', 'GRUB.CFG': 'x' }, 64 * MiB, 32);
    const listing = tool('mdir', '-i', image, '-/', '::');
    await expect(listing.replace(/ +\n/g, '\n')).toMatchFileSnapshot('golden/mdir.txt');
  });

  it('gives what is overwritten in place a block of its own', async () => {
    const block = 64 * 1024;
    const files = {
      'A.TXT': 'a',
      's0.env': Buffer.alloc(1024, 1),
      's1.env': Buffer.alloc(1024, 2),
      'z.txt': 'z',
    };
    const volume = planFat(treeOf(files), {
      ...options,
      size: 64 * MiB,
      alone: { paths: ['s0.env', 's1.env'], block },
    });
    const image = join(folder, 'alone');
    await writeToFile(volume, image);
    tool('fsck.vfat', '-n', image);
    const bytes = readFileSync(image);
    const [s0, s1] = [volume.startOf('s0.env'), volume.startOf('s1.env')];
    expect([s0 % block, s1 % block]).toEqual([0, 0]);
    expect(bytes.subarray(s0, s0 + 1024).every((byte) => byte === 1)).toBe(true);
    expect(bytes.subarray(s1, s1 + 1024).every((byte) => byte === 2)).toBe(true);
    for (const other of ['A.TXT', 'z.txt']) {
      const at = volume.startOf(other);
      expect([s0, s1].map((start) => at >= start && at < start + block)).toEqual([false, false]);
    }
  });
});

describe('refused', () => {
  const common = { uid: 0, gid: 0, mtime, mode: 0o644 };
  const cases: [entry: Entry, message: string, why: string][] = [
    [
      { ...common, kind: 'symlink', path: 'l', target: 'x' },
      '/l cannot be put into a FAT filesystem',
      'FAT holds no symlink',
    ],
    [
      fileEntry('a:b', '', common),
      '/a:b cannot be put into a FAT filesystem',
      'its name has a character that FAT does not know',
    ],
    [
      fileEntry('dot.', '', common),
      '/dot. cannot be put into a FAT filesystem',
      'its name ends with a dot or a blank',
    ],
    [
      fileEntry('x'.repeat(256), '', common),
      `/${'x'.repeat(256)} cannot be put into a FAT filesystem`,
      'its name is longer than 255 characters',
    ],
    [
      { ...common, kind: 'file', path: 'big', size: 2 ** 32, segments: [] },
      '/big cannot be put into a FAT filesystem',
      'it has 4294967296 bytes; FAT holds less than 4 GiB',
    ],
  ];
  it.each(cases)('%o', (entry, what, why) => {
    const tree = { entries: () => [{ ...common, kind: 'directory' as const, path: '' }, entry] };
    expect(() => planFat(tree, { ...options, size: 64 * MiB })).toThrow(
      expect.objectContaining({ kind: 'input', problems: [{ what, why }] }),
    );
  });

  it('names that differ in capitals only', () => {
    expect(() => planFat(treeOf({ 'a/File': '', 'a/fILE': '' }), { ...options, size: 64 * MiB })).toThrow(
      '/a/fILE cannot',
    );
  });

  it('more than there is room for, by how much', () => {
    const tree = treeOf({ big: Buffer.alloc(9 * MiB) });
    expect(() => planFat(tree, { ...options, size: 8 * MiB })).toThrow(
      expect.objectContaining({
        problems: [
          {
            what: 'the files do not fit into a FAT16 filesystem of 8388608 bytes',
            why: expect.stringMatching(/^10\d{5} bytes more are needed$/),
          },
        ],
      }),
    );
  });
});
