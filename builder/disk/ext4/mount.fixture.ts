// An ext4 image as the kernel sees it, compared with the tree that it was made of, file by file.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type Entry, lengthOf, nameToBytes } from '../../tree/entry.ts';

/** Whether this process may mount. */
export const mayMount = process.getuid?.() === 0;
if (!mayMount) console.warn('ext4: not root, so the kernel is not asked; e2fsck and the reader judge alone');

/** Mounts an image read-only for as long as `look` runs. */
export function mounted(image: string, look: (at: (path: string) => Buffer) => void): void {
  const mount = mkdtempSync(join(tmpdir(), 'edgekiln-mount-'));
  execFileSync('mount', ['-o', 'loop,ro', image, mount]);
  try {
    look((path) => Buffer.concat([Buffer.from(`${mount}/`), nameToBytes(path)]));
  } finally {
    execFileSync('umount', [mount]);
    rmdirSync(mount);
  }
}

/** Compares everything: names, kinds, owners, modes, times, attributes, links, devices, holes and bytes. */
export function expectSame(entries: readonly Entry[], at: (path: string) => Buffer): void {
  const attributes = attributesBelow(at('').toString().slice(0, -1));
  const seen: string[] = [];
  const walk = (path: string): void => {
    seen.push(path);
    for (const name of readdirSync(at(path), { encoding: 'latin1', withFileTypes: true })) {
      const child = path === '' ? name.name : `${path}/${name.name}`;
      if (child === 'lost+found') continue;
      if (name.isDirectory()) walkLatin1(child, at, seen);
      else seen.push(child);
    }
  };
  walk('');
  const latin1 = (path: string): string => Buffer.from(nameToBytes(path)).toString('latin1');
  expect(seen.sort()).toEqual(entries.map(({ path }) => latin1(path)).sort());
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const entry of entries) {
    if (entry.kind === 'hardlink') {
      expect(lstatSync(at(entry.path)).ino, entry.path).toBe(lstatSync(at(entry.target)).ino);
      const names = entries.filter((one) => one.kind === 'hardlink' && one.target === entry.target).length;
      expect(lstatSync(at(entry.path)).nlink).toBe(names + 1);
      expect(byPath.get(entry.target)?.kind).not.toBe('hardlink');
    } else expectEntry(entry, at(entry.path), attributes.get(latin1(entry.path)) ?? []);
  }
}

function walkLatin1(path: string, at: (path: string) => Buffer, seen: string[]): void {
  seen.push(path);
  const folder = Buffer.concat([at(''), Buffer.from(path, 'latin1')]);
  for (const entry of readdirSync(folder, { encoding: 'latin1', withFileTypes: true })) {
    const child = `${path}/${entry.name}`;
    if (entry.isDirectory()) walkLatin1(child, at, seen);
    else seen.push(child);
  }
}

const bits = { file: 0o10, directory: 0o4, symlink: 0o12, char: 0o2, block: 0o6, fifo: 0o1, socket: 0o14 };

function expectEntry(entry: Exclude<Entry, { kind: 'hardlink' }>, path: Buffer, attributes: string[]): void {
  const state = lstatSync(path);
  const what = path.toString();
  expect([state.mode >> 12, state.mode & 0o7777, state.uid, state.gid, state.mtimeMs], what).toEqual([
    bits[entry.kind],
    entry.kind === 'symlink' ? state.mode & 0o7777 : entry.mode,
    entry.uid,
    entry.gid,
    entry.mtime * 1000,
  ]);
  expect(attributes.sort(), what).toEqual(
    (entry.xattrs ?? []).map(([name, value]) => `${name}=0x${Buffer.from(value).toString('hex')}`).sort(),
  );
  if (entry.kind === 'symlink')
    expect(readlinkSync(path, { encoding: 'buffer' }).equals(nameToBytes(entry.target)), what).toBe(true);
  if (entry.kind === 'char' || entry.kind === 'block') expect(state.rdev, what).toBe(rdev(entry));
  if (entry.kind === 'file') expectContent(entry, path, state);
}

/** As the C library packs a device number. */
function rdev({ major, minor }: { major: number; minor: number }): number {
  return (minor & 0xff) + (major & 0xfff) * 256 + Math.floor(minor / 256) * 2 ** 20;
}

function expectContent(
  entry: Entry & { kind: 'file' },
  path: Buffer,
  { size, blocks }: { size: number; blocks: number },
): void {
  expect(size).toBe(entry.size);
  // Holes take no blocks; what a file has beside its bytes is few.
  const data = new Set<number>();
  for (const { offset, bytes } of entry.segments) {
    const end = offset + lengthOf(bytes);
    for (let block = Math.floor(offset / 4096); block * 4096 < end; block++) data.add(block);
  }
  expect(blocks / 8).toBeGreaterThanOrEqual(data.size);
  expect(blocks / 8 - data.size, path.toString()).toBeLessThan(2 + data.size / 300 + 2);
  const fd = openSync(path, 'r');
  const read = (at: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    expect(readSync(fd, bytes, 0, length, at)).toBe(length);
    return bytes;
  };
  const expectHole = (from: number, to: number): void => {
    // The ends of long holes are enough.
    for (const [start, end] of [
      [from, Math.min(to, from + 65_536)],
      [Math.max(from, to - 65_536), to],
    ] as const)
      if (end > start) expect(read(start, end - start).every((byte) => byte === 0)).toBe(true);
  };
  let reached = 0;
  for (const { offset, bytes } of entry.segments) {
    expectHole(reached, offset);
    if (bytes.at === 'memory') expect(read(offset, lengthOf(bytes)).equals(bytes.bytes)).toBe(true);
    else {
      const source = openSync(bytes.file, 'r');
      const wanted = Buffer.alloc(bytes.length);
      readSync(source, wanted, 0, bytes.length, bytes.offset);
      closeSync(source);
      expect(read(offset, bytes.length).equals(wanted)).toBe(true);
    }
    reached = offset + lengthOf(bytes);
  }
  expectHole(reached, entry.size);
  closeSync(fd);
}

/** `NAME=0xVALUE` of everything below a folder, by path in latin1. */
function attributesBelow(folder: string): Map<string, string[]> {
  const said = execFileSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: folder,
    encoding: 'latin1',
    maxBuffer: 1e9,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const found = new Map<string, string[]>();
  let path = '';
  for (const line of said.split('\n')) {
    // Bytes that are not ASCII are written as \ooo.
    const plain = line.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    if (line.startsWith('# file: ')) path = plain.slice(8).replace(/^\.$|^\.\//, '');
    else if (line !== '')
      found.set(path, [...(found.get(path) ?? []), plain.includes('=') ? plain : `${plain}=0x`]);
  }
  return found;
}
