// A cpio archive in the "newc" form, as the kernel unpacks an initrd.
// Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux; cpio(5).
//
// Limits: files under 4 GiB; times from 1970 to 2106; names and targets of at most 4,095 bytes, as the kernel skips longer
// ones; no extended attributes; no file TRAILER!!! at the top.
import { Failure } from '../../../formats/errors.ts';
import { type Entry, type EntrySource, nameToBytes } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import { appendContent } from '../content.ts';
import type { Volume } from '../volume.ts';

/** Bytes of a header, before the name. */
export const headerSize = 110;
export const trailer = 'TRAILER!!!';
const mostBytes = 2 ** 32;
const longestPath = 4095;

/** A hard link is another name of its kind. */
type Kind = Exclude<Entry['kind'], 'hardlink'>;

const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const satisfies Record<Kind, number>;

/** Kinds by type bits. */
export const kinds: ReadonlyMap<number, Kind> = new Map([
  [typeBits.file, 'file'],
  [typeBits.directory, 'directory'],
  [typeBits.symlink, 'symlink'],
  [typeBits.char, 'char'],
  [typeBits.block, 'block'],
  [typeBits.fifo, 'fifo'],
  [typeBits.socket, 'socket'],
]);

type FileEntry = Entry & { kind: 'file' };

/** What has several names. Of a file the last of them carries its bytes, as cpio writes and reads links. */
interface Linked {
  names: number;
  last: string;
  /** Set when its first name goes by. */
  number: number;
  first: Entry | undefined;
}

/** Header and name, padded, and the bytes that follow. */
interface Member {
  readonly head: Buffer;
  readonly data: FileEntry | Uint8Array | undefined;
}

/** Plans an archive of a tree; its root directory is left out. Refuses, by name, what newc cannot hold. */
export function planCpio(tree: EntrySource): Volume {
  const linked = findLinked(tree);
  let size = 0;
  for (const { head, data } of members(tree, linked)) size += head.length + padded(dataLength(data));
  return {
    size,
    mapped: [{ start: 0, end: size }],
    async write(output) {
      const batch = new Batch(output);
      try {
        for (const { head, data } of members(tree, linked)) {
          batch.append({ at: 'memory', bytes: head }, 0, head.length);
          if (data instanceof Uint8Array) batch.append({ at: 'memory', bytes: data }, 0, data.length);
          else if (data !== undefined) await appendContent(batch, data);
          batch.zeros(padded(batch.at));
        }
        batch.end();
      } finally {
        batch.close();
      }
    },
  };
}

function findLinked(tree: EntrySource): Map<string, Linked> {
  const linked = new Map<string, Linked>();
  for (const entry of tree.entries()) {
    const wrong = wrongEntry(entry);
    if (wrong !== undefined) throw refusal(entry.path, wrong);
    if (entry.kind !== 'hardlink') continue;
    const known = linked.get(entry.target);
    if (known === undefined)
      linked.set(entry.target, { names: 2, last: entry.path, number: 0, first: undefined });
    else {
      known.names++;
      known.last = entry.path;
    }
  }
  return linked;
}

/** Why an entry cannot be kept, if it cannot. */
function wrongEntry(entry: Entry): string | undefined {
  if (entry.xattrs !== undefined && entry.xattrs.length > 0) return 'cpio keeps no extended attributes';
  if (entry.kind === 'file' && entry.size >= mostBytes)
    return `it has ${entry.size} bytes; cpio holds less than 4 GiB`;
  if (entry.path === trailer) return 'that name ends a cpio archive';
  const long = (text: string): boolean =>
    text.length > longestPath / 3 && nameToBytes(text).length > longestPath;
  if (long(entry.path)) return `its path is longer than ${longestPath} bytes`;
  if (entry.kind === 'symlink' && long(entry.target)) return `its target is longer than ${longestPath} bytes`;
  if (entry.mtime < 0 || entry.mtime >= 2 ** 32) return `its time ${entry.mtime} is out of range`;
  return undefined;
}

function* members(tree: EntrySource, linked: ReadonlyMap<string, Linked>): Generator<Member> {
  // Only files need numbers that mean anything; cpio wants all to differ.
  let number = 1;
  for (const entry of tree.entries()) {
    if (entry.path === '') continue;
    const links = linked.get(entry.kind === 'hardlink' ? entry.target : entry.path);
    if (links !== undefined && entry.kind !== 'hardlink') {
      links.first = entry;
      links.number = number++;
    }
    const inode = entry.kind === 'hardlink' ? links?.first : entry;
    if (inode === undefined || inode.kind === 'hardlink')
      throw refusal(entry.path, 'what it is a link to does not come before it');
    const { kind, mode, uid, gid, mtime } = inode;
    const data = dataOf(entry.path, inode, links);
    const device = kind === 'char' || kind === 'block' ? [inode.major, inode.minor] : [0, 0];
    const fields = [
      links?.number ?? number++,
      typeBits[kind] | mode,
      uid,
      gid,
      links?.names ?? (kind === 'directory' ? 2 : 1),
      mtime,
      dataLength(data),
      0,
      0,
      ...device,
    ];
    yield { head: headOf(entry.path, fields), data };
  }
  yield { head: headOf(trailer, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), data: undefined };
}

function dataOf(path: string, inode: Entry, links: Linked | undefined): Member['data'] {
  // Each name of a symbolic link has its target: they are made one by one.
  if (inode.kind === 'symlink') return nameToBytes(inode.target);
  return inode.kind === 'file' && (links === undefined || links.last === path) ? inode : undefined;
}

function dataLength(data: Member['data']): number {
  if (data === undefined) return 0;
  return data instanceof Uint8Array ? data.length : data.size;
}

/** Magic, eleven numbers, the length of the name with its NUL, no checksum: each as eight hexadecimal digits. */
function headOf(path: string, fields: readonly number[]): Buffer {
  const name = nameToBytes(path);
  const digits = [...fields, name.length + 1, 0].map((field) => (field >>> 0).toString(16).padStart(8, '0'));
  const head = Buffer.alloc(padded(headerSize + name.length + 1));
  head.write(`070701${digits.join('')}`, 'latin1');
  head.set(name, headerSize);
  return head;
}

/** Everything begins at a multiple of four bytes. */
export function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function refusal(path: string, why: string): Failure {
  return new Failure('input', { what: `/${path} cannot be put into an initrd`, why });
}
