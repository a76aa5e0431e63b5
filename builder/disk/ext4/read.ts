// Reads an ext4 filesystem in a file: what `planExt4` wrote, and others that use no feature beyond extents.
// Journals are not replayed and checksums not checked.
import { closeSync, openSync, readSync } from 'node:fs';
import { Failure } from '../../../formats/errors.ts';
import { type Entry, type EntrySource, nameFromBytes, nameToBytes, type Segment } from '../../tree/entry.ts';
import { readEntries } from './directories.ts';
import { type Extent, readTree } from './extents.ts';
import { BLOCK_FIELD, decodeDevice, decodeInode, type Inode } from './inodes.ts';
import { ROOT_INODE } from './layout.ts';
import { decodeSuperblock, SUPERBLOCK_AT, type Superblock } from './superblock.ts';
import { readXattrs } from './xattrs.ts';

const MOST_LINKS = 40;

interface Loaded extends Inode {
  readonly number: number;
  /** All bytes of the inode. */
  readonly bytes: Buffer;
}

/** Opens a filesystem that starts at byte `offset` of a file. Refuses with Failure('unsupported' or 'io', …). */
export function openExt4(file: string, offset = 0): Ext4Reader {
  return new Ext4Reader(file, offset);
}

export class Ext4Reader implements EntrySource {
  readonly superblock: Superblock;
  readonly #file: string;
  readonly #offset: number;
  readonly #fd: number;

  constructor(file: string, offset: number) {
    this.#file = file;
    this.#offset = offset;
    try {
      this.#fd = openSync(file, 'r');
    } catch (error) {
      throw new Failure(
        'io',
        { what: 'a filesystem cannot be read', where: file, why: String(error) },
        error,
      );
    }
    try {
      this.superblock = decodeSuperblock(this.#bytes(SUPERBLOCK_AT, 1024), file);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** All entries in the order of `Tree`; the bytes of files are ranges of the filesystem's file. */
  *entries(): Generator<Entry> {
    try {
      yield* this.#below(this.#inode(ROOT_INODE));
    } catch (error) {
      throw this.#damage(error);
    }
  }

  /** The entry at a path, undefined if there is none. Links on the way are followed, one at the end is not. */
  stat(path: string): Entry | undefined {
    try {
      const inode = this.#find(path, { links: 0 });
      return inode === undefined ? undefined : this.#entry(inode, path);
    } catch (error) {
      throw this.#damage(error);
    }
  }

  /** Up to `length` bytes of a file from `start` on; holes are zeros. */
  read(path: string, start = 0, length = Number.POSITIVE_INFINITY): Buffer {
    const entry = this.stat(path);
    if (entry?.kind !== 'file')
      throw new Failure('input', { what: `/${path} is not a file`, where: this.#file });
    const end = Math.min(entry.size, start + length);
    const bytes = Buffer.alloc(Math.max(0, end - start));
    for (const segment of entry.segments) {
      if (segment.bytes.at !== 'file') continue;
      const from = Math.max(start, segment.offset);
      const until = Math.min(end, segment.offset + segment.bytes.length);
      if (from < until)
        readSync(this.#fd, bytes, from - start, until - from, segment.bytes.offset + from - segment.offset);
    }
    return bytes;
  }

  *#below(top: Loaded): Generator<Entry> {
    yield this.#entry(top, '');
    const firstNames = new Map<number, string>();
    const directories = new Set([ROOT_INODE]);
    // Its own stack: a tree may be deeper than calls can be.
    const stack = [{ prefix: '', names: this.#names(top).values() }];
    for (let way = stack.at(-1); way !== undefined; way = stack.at(-1)) {
      const step = way.names.next();
      if (step.done) {
        stack.pop();
        continue;
      }
      const { name, number } = step.value;
      const path = way.prefix + nameFromBytes(name);
      const inode = this.#inode(number);
      const first = inode.kind === 'directory' ? undefined : firstNames.get(number);
      if (first !== undefined) {
        const { mode, uid, gid, mtime } = inode;
        yield { path, mode, uid, gid, mtime, kind: 'hardlink', target: first };
        continue;
      }
      yield this.#entry(inode, path);
      if (inode.kind === 'directory' && directories.size === directories.add(number).size)
        throw new RangeError(`the directory /${path} is somewhere else as well`);
      if (inode.kind === 'directory') stack.push({ prefix: `${path}/`, names: this.#names(inode).values() });
      else if (inode.links > 1) firstNames.set(number, path);
    }
  }

  #find(path: string, seen: { links: number }): Loaded | undefined {
    const at = [this.#inode(ROOT_INODE)];
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    for (const [i, name] of names.entries()) {
      const directory = at[at.length - 1];
      if (directory?.kind !== 'directory') return undefined;
      if (name === '..') {
        if (at.length > 1) at.pop();
        continue;
      }
      const wanted = nameToBytes(name);
      const found = this.#names(directory).find((child) => child.name.equals(wanted));
      if (found === undefined) return undefined;
      const child = this.#inode(found.number);
      if (child.kind === 'symlink' && i < names.length - 1) {
        if (++seen.links > MOST_LINKS) return undefined;
        const target = nameFromBytes(this.#target(child));
        const before = target.startsWith('/') ? '' : `${names.slice(0, i).join('/')}/`;
        return this.#find(`${before}${target}/${names.slice(i + 1).join('/')}`, seen);
      }
      at.push(child);
    }
    return at[at.length - 1];
  }

  #names(directory: Loaded): { name: Buffer; number: number }[] {
    const names: { name: Buffer; number: number }[] = [];
    for (const extent of this.#extents(directory)) {
      for (let i = 0; i < extent.count; i++) {
        for (const { name, inode } of readEntries(this.#block(extent.start + i))) {
          names.push({ name: Buffer.from(name), number: inode });
        }
      }
    }
    return names.sort((a, b) => Buffer.compare(a.name, b.name));
  }

  #entry(inode: Loaded, path: string): Entry {
    const block = inode.xattrBlock === 0 ? undefined : this.#block(inode.xattrBlock);
    const extra = inode.bytes.length > 128 ? inode.bytes.readUInt16LE(128) : 0;
    const xattrs = readXattrs(inode.bytes.subarray(Math.min(inode.bytes.length, 128 + extra)), block);
    const common = {
      path,
      mode: inode.mode,
      uid: inode.uid,
      gid: inode.gid,
      mtime: inode.mtime,
      ...(xattrs.length === 0 ? {} : { xattrs }),
    };
    switch (inode.kind) {
      case 'file':
        return { ...common, kind: 'file', size: inode.size, segments: this.#segments(inode) };
      case 'symlink':
        return { ...common, kind: 'symlink', target: nameFromBytes(this.#target(inode)) };
      case 'char':
      case 'block':
        return { ...common, kind: inode.kind, ...decodeDevice(field(inode)) };
      default:
        return { ...common, kind: inode.kind };
    }
  }

  #segments(inode: Loaded): Segment[] {
    const { blockSize } = this.superblock;
    const segments: { offset: number; from: number; length: number }[] = [];
    for (const { logical, start, count } of this.#extents(inode)) {
      const offset = logical * blockSize;
      const from = this.#offset + start * blockSize;
      const length = Math.min(count * blockSize, inode.size - offset);
      const last = segments[segments.length - 1];
      if (length <= 0) continue;
      if (last !== undefined && last.offset + last.length === offset && last.from + last.length === from) {
        last.length += length;
      } else segments.push({ offset, from, length });
    }
    return segments.map(({ offset, from, length }) => ({
      offset,
      bytes: { at: 'file', file: this.#file, offset: from, length },
    }));
  }

  #target(inode: Loaded): Buffer {
    if (!inode.mapped) return field(inode).subarray(0, inode.size);
    const first = this.#extents(inode)[0];
    return first === undefined ? Buffer.alloc(0) : this.#block(first.start).subarray(0, inode.size);
  }

  #extents(inode: Loaded): Extent[] {
    if (!inode.mapped) {
      if (inode.size === 0) return [];
      throw new Failure('unsupported', { what: `inode ${inode.number} has no extents`, where: this.#file });
    }
    const extents = readTree(field(inode), (block) => this.#block(block));
    const outside = extents.some(({ start, count }) => start + count > this.superblock.blocks);
    if (outside) throw new RangeError(`inode ${inode.number} has blocks outside of the filesystem`);
    return extents;
  }

  #inode(number: number): Loaded {
    const { superblock } = this;
    const group = Math.floor((number - 1) / superblock.inodesPerGroup);
    const descriptors = (superblock.firstDataBlock + 1) * superblock.blockSize;
    const descriptor = this.#bytes(
      descriptors + group * superblock.descriptorSize,
      superblock.descriptorSize,
    );
    const high = superblock.descriptorSize >= 64 ? descriptor.readUInt32LE(40) * 0x1_0000_0000 : 0;
    const table = (descriptor.readUInt32LE(8) + high) * superblock.blockSize;
    const at = table + ((number - 1) % superblock.inodesPerGroup) * superblock.inodeSize;
    const bytes = this.#bytes(at, superblock.inodeSize);
    const inode = decodeInode(bytes);
    if (inode === undefined)
      throw new Failure('io', { what: `inode ${number} is not in use`, where: this.#file });
    return { ...inode, number, bytes };
  }

  /** Numbers that lead nowhere are damage, not a bug. */
  #damage(error: unknown): unknown {
    if (!(error instanceof RangeError)) return error;
    return new Failure(
      'io',
      { what: 'a filesystem is damaged', where: this.#file, why: error.message, fix: 'make the image anew' },
      error,
    );
  }

  #block(number: number): Buffer {
    return this.#bytes(number * this.superblock.blockSize, this.superblock.blockSize);
  }

  #bytes(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    if (readSync(this.#fd, bytes, 0, length, this.#offset + at) < length) {
      throw new Failure('io', { what: 'a filesystem ends too early', where: this.#file });
    }
    return bytes;
  }
}

function field(inode: Loaded): Buffer {
  return inode.bytes.subarray(BLOCK_FIELD.at, BLOCK_FIELD.at + BLOCK_FIELD.length);
}
