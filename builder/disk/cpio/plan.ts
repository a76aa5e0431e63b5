// A cpio archive in the "newc" form, as the kernel unpacks an initrd.
// Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux; cpio(5).
//
// Limits: files under 4 GiB; no extended attributes.
import { Failure } from '../../../formats/errors.ts';
import { type Entry, type EntrySource, nameToBytes } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import { appendContent } from '../content.ts';
import type { Volume } from '../volume.ts';

/** Bytes of a header, before the name. */
const headerSize = 110;
const trailer = 'TRAILER!!!';
const mostBytes = 2 ** 32;

const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  hardlink: 0o100000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const satisfies Record<Entry['kind'], number>;

type FileEntry = Entry & { kind: 'file' };

/** The names of one file. The last of them carries its bytes, as cpio writes and reads links. */
interface Inode {
  readonly number: number;
  readonly file: FileEntry;
  names: number;
  last: string;
}

/** Header and name, padded, and the bytes that follow. */
interface Member {
  readonly head: Buffer;
  readonly data: FileEntry | Uint8Array | undefined;
}

/** Plans an archive of a tree; its root directory is left out. Refuses, by name, what newc cannot hold. */
export function planCpio(tree: EntrySource): Volume {
  const inodes = findInodes(tree);
  let size = 0;
  for (const { head, data } of members(tree, inodes)) size += head.length + padded(dataLength(data));
  return {
    size,
    mapped: [{ start: 0, end: size }],
    async write(output) {
      const batch = new Batch(output);
      try {
        for (const { head, data } of members(tree, inodes)) {
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

function findInodes(tree: EntrySource): Map<string, Inode> {
  const inodes = new Map<string, Inode>();
  let number = 1;
  for (const entry of tree.entries()) {
    if (entry.xattrs !== undefined && entry.xattrs.length > 0) {
      throw refusal(entry.path, 'cpio keeps no extended attributes');
    }
    if (entry.kind === 'file') {
      if (entry.size >= mostBytes)
        throw refusal(entry.path, `it has ${entry.size} bytes; cpio holds less than 4 GiB`);
      inodes.set(entry.path, { number: number++, file: entry, names: 1, last: entry.path });
    } else if (entry.kind === 'hardlink') {
      const inode = inodes.get(entry.target);
      if (inode === undefined)
        throw refusal(entry.path, `it is a link to ${entry.target}, which is no file before it`);
      inode.names++;
      inode.last = entry.path;
    }
  }
  return inodes;
}

function* members(tree: EntrySource, inodes: ReadonlyMap<string, Inode>): Generator<Member> {
  // Whatever is no file has one name and needs no number that means anything; cpio wants them to differ.
  let other = inodes.size + 1;
  for (const entry of tree.entries()) {
    if (entry.path === '') continue;
    const inode = inodes.get(entry.kind === 'hardlink' ? entry.target : entry.path);
    const data = dataOf(entry, inode);
    const { mode, uid, gid, mtime } = entry.kind === 'hardlink' && inode !== undefined ? inode.file : entry;
    const device = entry.kind === 'char' || entry.kind === 'block' ? [entry.major, entry.minor] : [0, 0];
    const links = inode?.names ?? (entry.kind === 'directory' ? 2 : 1);
    const number = inode?.number ?? other++;
    const fields = [
      number,
      typeBits[entry.kind] | mode,
      uid,
      gid,
      links,
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

function dataOf(entry: Entry, inode: Inode | undefined): Member['data'] {
  if (entry.kind === 'symlink') return nameToBytes(entry.target);
  return inode?.last === entry.path ? inode.file : undefined;
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

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function refusal(path: string, why: string): Failure {
  return new Failure('input', { what: `/${path} cannot be put into an initrd`, why });
}
