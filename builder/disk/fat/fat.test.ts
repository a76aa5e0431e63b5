import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { Tree } from '../../tree/tree.ts';
import { writeToFile } from '../output.ts';
import { folded } from './names.ts';
import { planFat } from './plan.ts';
import { openFat } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'fat-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MiB = 1024 ** 2;
const kernelMounts =
  process.getuid?.() === 0 && readFileSync('/proc/filesystems', 'utf8').includes('\tvfat\n');
if (!kernelMounts) console.warn('FAT: no root, or no vfat in this kernel: mtools and fsck.vfat judge alone');
const mtime = Date.UTC(2026, 10, 21, 10, 30, 42) / 1000;
const options = { label: 'EDGEKILN', serial: 0x1234abcd };
const tool = (program: string, ...args: string[]) =>
  execFileSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8', MTOOLS_SKIP_CHECK: '1' },
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
  const reader = openFat(image);
  // mtools knows names of the basic plane only.
  const foreign = !/[\u{10000}-\u{10ffff}]/u.test(Object.keys(files).join(''));
  const out = mkdtempSync(join(folder, 'out-'));
  if (foreign) tool('mcopy', '-s', '-n', '-i', image, '::/', `${out}/all`);
  for (const [path, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    if (foreign) expect(readFileSync(join(out, 'all', path)).equals(bytes), path).toBe(true);
  }
  rmSync(out, { recursive: true });
  const found = [...reader.entries()].filter(({ kind }) => kind === 'file');
  expect(found.map(({ path }) => path).sort()).toEqual(Object.keys(files).sort());
  for (const entry of found) {
    expect(reader.read(entry).equals(Buffer.from(files[entry.path] ?? '')), entry.path).toBe(true);
  }
  reader.close();
  return { image, volume };
}

const name = fc.stringMatching(/^[A-Za-z0-9_.~ß😀][A-Za-z0-9_. +,=~éß中😀-]{0,30}[A-Za-z0-9_😀]$/u);

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
        if ((byFold.get(folded(path)) ?? path) !== path) return false;
        byFold.set(folded(path), path);
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

  it('holds odd names and sizes, also to the kernel where it has vfat', async () => {
    const files: Record<string, Uint8Array> = {};
    const unit = type === 32 ? 4096 : 2048;
    for (const length of [0, 1, unit - 1, unit, unit + 1, 3 * unit, 100_000])
      files[`sizes/${length} bytes.bin`] = Buffer.alloc(length, length % 251);
    for (const odd of [
      'ß',
      'SS',
      'straße.txt',
      'STRASSE.TXT',
      '中文.文',
      '.hidden',
      'a b.c d',
      'LONGNA~1.TXT',
    ])
      files[`odd/${odd}`] = Buffer.from(odd);
    for (let i = 0; i < 1200; i++) files[`many/a long name number ${i}.txt`] = Buffer.from(`${i}`);
    files['many/ALONGN~7.TXT'] = Buffer.from('was there first');
    files[`deep/${'x'.repeat(255)}`] = Buffer.from('longest');
    files[`deep/${Array.from({ length: 30 }, (_, i) => `level ${i}`).join('/')}/end`] = Buffer.from('end');
    await checked(files, size, type);
    files['odd/😀 face'] = Buffer.from('beyond the basic plane');
    const { image } = await checked(files, size, type);
    if (!kernelMounts) return;
    const mount = join(folder, `mount${type}`);
    mkdirSync(mount);
    execFileSync('mount', ['-o', 'loop,ro,utf8,tz=UTC', image, mount]);
    try {
      for (const [path, bytes] of Object.entries(files)) {
        expect(readFileSync(join(mount, path)).equals(bytes), path).toBe(true);
        expect(statSync(join(mount, path)).mtimeMs).toBe(mtime * 1000);
      }
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  it('of any size is one, filled to the last cluster', { timeout: 60_000 }, async () => {
    const [least, most] = type === 32 ? [34 * MiB, 300 * MiB] : [3 * MiB, 300 * MiB];
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: least / 512, max: most / 512 }), async (sectors) => {
        const image = join(folder, 'full');
        const sized = { ...options, size: sectors * 512, type };
        const { free } = planFat(treeOf({}), sized);
        const file: Entry = {
          uid: 0,
          gid: 0,
          mode: 0o644,
          mtime,
          kind: 'file',
          path: 'f',
          size: free,
          segments: [],
        };
        const tree = (size: number) => ({
          entries: () => [
            { ...file, kind: 'directory' as const, path: '' },
            { ...file, size },
          ],
        });
        await writeToFile(planFat(tree(free), sized), image);
        expect(tool('fsck.vfat', '-n', image)).not.toMatch(/differ|error|wrong|dirty|orphan|too/i);
        const reader = openFat(image);
        expect([reader.type, reader.stat('F')]).toMatchObject([type, { kind: 'file', size: free }]);
        reader.close();
        expect(() => planFat(tree(free + 1), sized)).toThrow('do not fit');
      }),
      { numRuns: 8 },
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
    const wrong = { ...options, size: 64 * MiB, alone: { paths: ['S0.ENV'], block } };
    expect(() => planFat(treeOf(files), wrong)).toThrow('/S0.ENV cannot be put into a FAT filesystem');
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

  it.each([
    ['small', 'it is not made of capitals, digits and blanks between them'],
    ['', 'it is not made of capitals, digits and blanks between them'],
    ['TWELVE CHARS', 'it is longer than 11 characters'],
  ])('the label %j', (label, why) => {
    expect(() => planFat(treeOf({}), { ...options, label, size: 8 * MiB })).toThrow(
      expect.objectContaining({ problems: [{ what: `the label ${label} is not one of a FAT volume`, why }] }),
    );
  });

  it.each([
    [8 * MiB + 1, undefined, 'it is made of sectors of 512 bytes'],
    [MiB, 16 as const, 'it has from about 2 MiB to 2 GiB'],
    [3 * 1024 * MiB, 16 as const, 'it has from about 2 MiB to 2 GiB'],
    [20 * MiB, 32 as const, 'it needs about 33 MiB, and 2 TiB is the most'],
    [2 ** 41, 32 as const, 'it needs about 33 MiB, and 2 TiB is the most'],
  ])('%i bytes', (size, type, why) => {
    expect(() => planFat(treeOf({}), { ...options, size, ...(type === undefined ? {} : { type }) })).toThrow(
      expect.objectContaining({ problems: [expect.objectContaining({ why })] }),
    );
  });

  it('directories with more entries than FAT has, by how many', () => {
    const names = (count: number, prefix: string) =>
      treeOf(Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, ''])));
    expect(() => planFat(names(512, 'F'), { ...options, size: 8 * MiB })).toThrow(
      expect.objectContaining({
        problems: [
          expect.objectContaining({ why: 'the root of a FAT16 has 512 entries, 1 fewer than needed' }),
        ],
      }),
    );
    expect(() => planFat(names(65_537, 'D/F'), { ...options, size: 64 * MiB })).toThrow(
      expect.objectContaining({
        problems: [
          {
            what: '/D cannot be put into a FAT filesystem',
            why: 'a directory has 65536 entries, 3 fewer than needed',
          },
        ],
      }),
    );
  });

  it('what is no FAT, by the reader', async () => {
    const image = join(folder, 'none');
    writeFileSync(image, Buffer.alloc(1024));
    expect(() => openFat(image)).toThrow('not a FAT filesystem that can be read');
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
