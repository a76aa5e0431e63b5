import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { writeToFile } from '../output.ts';
import { planCpio } from './plan.ts';
import { openCpio } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'cpio-'));
afterAll(() => rmSync(folder, { recursive: true }));
const mtime = 1_700_000_000;
const common = { uid: 0, gid: 0, mtime };
const entries: Entry[] = [
  { ...common, kind: 'directory', path: '', mode: 0o755 },
  { ...common, kind: 'directory', path: 'bin', mode: 0o755 },
  fileEntry('bin/a', Buffer.alloc(5001, 3), { ...common, mode: 0o4755 }),
  { ...common, kind: 'hardlink', path: 'bin/b', mode: 0, target: 'bin/a' },
  fileEntry('bin/empty', '', { ...common, mode: 0o600 }),
  { ...common, kind: 'symlink', path: 'bin/link', mode: 0o777, target: '../etc/target' },
  { ...common, kind: 'char', path: 'console', mode: 0o600, major: 5, minor: 1 },
  {
    ...common,
    kind: 'file',
    path: 'sparse',
    mode: 0o644,
    size: 10_000,
    segments: [{ offset: 6000, bytes: { at: 'memory', bytes: Buffer.from('data') } }],
  },
];

describe('a cpio archive', () => {
  it('is listed by cpio as it was meant', async () => {
    const archive = join(folder, 'a.cpio');
    await writeToFile(planCpio({ entries: () => entries }), archive);
    const said = execFileSync('cpio', ['-tvn', '--quiet'], {
      input: readFileSync(archive),
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    await expect(said).toMatchFileSnapshot('golden/list.txt');
  });

  it.skipIf(process.getuid?.() !== 0)('is unpacked by cpio', async () => {
    const archive = join(folder, 'b.cpio');
    await writeToFile(planCpio({ entries: () => entries }), archive);
    const out = join(folder, 'out');
    mkdirSync(out);
    execFileSync('cpio', ['-idm', '--quiet'], { cwd: out, input: readFileSync(archive) });
    expect(readFileSync(join(out, 'bin/b')).equals(Buffer.alloc(5001, 3))).toBe(true);
    expect(lstatSync(join(out, 'bin/a')).ino).toBe(lstatSync(join(out, 'bin/b')).ino);
    expect(lstatSync(join(out, 'bin/a')).mode & 0o7777).toBe(0o4755);
    expect(lstatSync(join(out, 'bin/a')).mtimeMs).toBe(mtime * 1000);
    expect(readlinkSync(join(out, 'bin/link'))).toBe('../etc/target');
    expect(lstatSync(join(out, 'console')).rdev).toBe(0x501);
    expect(readFileSync(join(out, 'sparse')).subarray(5998, 6006).toString('latin1')).toBe('\0\0data\0\0');
  });

  it('is the same bytes each time', async () => {
    await writeToFile(planCpio({ entries: () => entries }), join(folder, '1'));
    await writeToFile(planCpio({ entries: () => entries }), join(folder, '2'));
    expect(readFileSync(join(folder, '1')).equals(readFileSync(join(folder, '2')))).toBe(true);
  });

  it.skipIf(process.getuid?.() !== 0)('keeps several names of what is no file', async () => {
    const archive = join(folder, 'links.cpio');
    const name = (path: string, target: string): Entry => ({
      ...common,
      kind: 'hardlink',
      path,
      mode: 0,
      target,
    });
    const linked: Entry[] = [
      { ...common, kind: 'symlink', path: 'link', mode: 0o777, target: 'to' },
      name('link 2', 'link'),
      { ...common, kind: 'char', path: 'null', mode: 0o640, major: 1, minor: 3 },
      name('null 2', 'null'),
    ];
    await writeToFile(planCpio({ entries: () => linked }), archive);
    const out = join(folder, 'links');
    mkdirSync(out);
    execFileSync('cpio', ['-id', '--quiet'], { cwd: out, input: readFileSync(archive) });
    expect(readlinkSync(join(out, 'link 2'))).toBe('to');
    const [first, second] = ['null', 'null 2'].map((path) => lstatSync(join(out, path)));
    expect([first?.rdev, first?.mode, first?.nlink]).toEqual([0x103, 0o020640, 2]);
    expect(second?.ino).toBe(first?.ino);
    expect(() => planCpio({ entries: () => [name('b', 'a')] })).toThrow(
      expect.objectContaining({
        problems: [
          { what: '/b cannot be put into an initrd', why: 'what it is a link to does not come before it' },
        ],
      }),
    );
  });

  it('is read back as it was meant', async () => {
    const archive = join(folder, 'r.cpio');
    await writeToFile(planCpio({ entries: () => entries }), archive);
    const reader = openCpio(archive);
    const plain = (some: Iterable<Entry>) =>
      [...some].map((entry) => {
        const { mode, ...rest } = entry;
        return entry.kind === 'file'
          ? { ...rest, mode, segments: [] }
          : entry.kind === 'hardlink'
            ? rest
            : entry;
      });
    expect(plain(reader.entries())).toEqual(plain(entries.slice(1)));
    expect(reader.read('bin/b', 4999, 9)).toEqual(Buffer.from([3, 3]));
    expect(reader.read('sparse', 5998, 8).toString('latin1')).toBe('\0\0data\0\0');
    expect(() => reader.read('console')).toThrow('it cannot be read');
    reader.close();
  });

  it('of any tree is listed by cpio and read back', { timeout: 60_000 }, async () => {
    const part = fc.stringMatching(/^[A-Za-z0-9_. é中😀-]{1,20}$/u).filter((name) => !/^\.{1,2}$/.test(name));
    const mode = fc.integer({ min: 0, max: 0o7777 });
    const inodes = fc.record({ mode, uid: fc.nat(), gid: fc.nat(), mtime: fc.nat() });
    const file = fc.tuple(inodes, part, fc.uint8Array({ maxLength: 2000 }));
    const trees = fc.uniqueArray(file, { maxLength: 12, selector: ([, name]) => name });
    await fc.assert(
      fc.asyncProperty(trees, fc.nat({ max: 3 }), async (list, links) => {
        const files = list.map(([inode, name, bytes]): Entry => fileEntry(`d/${name}`, bytes, inode));
        const first = files[0];
        const more = first === undefined ? 0 : links;
        const linked = Array.from({ length: more }, (_, i): Entry => {
          return { ...common, mode: 0, kind: 'hardlink', path: `l${i}`, target: first?.path ?? '' };
        });
        const all: Entry[] = [{ ...common, kind: 'directory', path: 'd', mode: 0o700 }, ...files, ...linked];
        const archive = join(folder, 'p.cpio');
        await writeToFile(planCpio({ entries: () => all }), archive);
        const input = readFileSync(archive);
        const said = execFileSync('cpio', ['-t', '--quiet'], { input, stdio: ['pipe', 'pipe', 'pipe'] });
        expect(said.toString('utf8').split('\n').slice(0, -1)).toEqual(all.map(({ path }) => path));
        const reader = openCpio(archive);
        const read = [...reader.entries()];
        expect(read.map(({ path, kind }) => [path, kind])).toEqual(all.map(({ path, kind }) => [path, kind]));
        for (const [index, [inode, name, bytes]] of list.entries()) {
          expect(read[index + 1]).toMatchObject(inode);
          expect(reader.read(`d/${name}`).equals(bytes)).toBe(true);
        }
        for (const { path } of linked)
          expect(reader.read(path).equals(list[0]?.[2] ?? Buffer.alloc(0))).toBe(true);
        reader.close();
      }),
      { numRuns: 40 },
    );
  });

  const refused: [entry: Entry, why: string][] = [
    [{ ...common, kind: 'fifo', path: 'TRAILER!!!', mode: 0 }, 'that name ends a cpio archive'],
    [{ ...common, kind: 'fifo', path: 'old', mode: 0, mtime: -1 }, 'its time -1 is out of range'],
    [
      { ...common, kind: 'symlink', path: 's', mode: 0o777, target: 'x'.repeat(4096) },
      'its target is longer than 4095 bytes',
    ],
    [{ ...common, kind: 'fifo', path: 'p/'.repeat(2048), mode: 0 }, 'its path is longer than 4095 bytes'],
  ];
  it.each(refused)('refuses %#', (entry, why) => {
    expect(() => planCpio({ entries: () => [entry] })).toThrow(
      expect.objectContaining({ problems: [{ what: `/${entry.path} cannot be put into an initrd`, why }] }),
    );
  });

  it('is not read from what is none', () => {
    const file = join(folder, 'none');
    writeFileSync(file, Buffer.alloc(200, 0x30));
    expect(() => [...openCpio(file).entries()]).toThrow('not a cpio archive that can be read');
    writeFileSync(file, '');
    expect(() => [...openCpio(file).entries()]).toThrow('an image ends too early');
  });

  it('refuses what it cannot hold, by name', () => {
    const large: Entry = { ...common, kind: 'file', path: 'big', mode: 0o644, size: 2 ** 32, segments: [] };
    const marked: Entry = {
      ...common,
      kind: 'directory',
      path: 'd',
      mode: 0o755,
      xattrs: [['user.x', Buffer.from('1')]],
    };
    expect(() => planCpio({ entries: () => [large] })).toThrow('/big cannot be put into an initrd');
    expect(() => planCpio({ entries: () => [marked] })).toThrow('/d cannot be put into an initrd');
  });
});
