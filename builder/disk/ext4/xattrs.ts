// Extended attributes: in the inode while they fit there, else in one block of their own.
import { nameFromBytes, nameToBytes, type Xattrs } from '../../tree/entry.ts';
import { aclFromDisk, aclToDisk } from './acl.ts';
import { BLOCK } from './layout.ts';

const MAGIC = 0xea020000;
const ENTRY = 16;
const BLOCK_HEADER = 32;
const POSIX_ACL = 'system.posix_acl_';
const prefixes: readonly (readonly [prefix: string, index: number])[] = [
  [`${POSIX_ACL}access`, 2],
  [`${POSIX_ACL}default`, 3],
  ['user.', 1],
  ['trusted.', 4],
  ['security.', 6],
];

interface Attribute {
  readonly index: number;
  /** Without the prefix that `index` stands for. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** Which attributes of an inode go where. */
export interface XattrPlacement {
  readonly inInode: readonly Attribute[];
  readonly inBlock: readonly Attribute[];
}

/** Distributes attributes, or says why they cannot be kept. `room` is what the inode has for them, in bytes. */
export function placeXattrs(xattrs: Xattrs, room: number): XattrPlacement | string {
  const inInode: Attribute[] = [];
  const inBlock: Attribute[] = [];
  // The magic number, and zeros after the last entry.
  let inodeLeft = room - 8;
  let blockLeft = BLOCK - BLOCK_HEADER - 4;
  for (const [fullName, value] of xattrs) {
    const attribute = attributeOf(fullName, value);
    if (typeof attribute === 'string') return attribute;
    const size = sizeOf(attribute);
    if (size <= inodeLeft) {
      inInode.push(attribute);
      inodeLeft -= size;
    } else {
      inBlock.push(attribute);
      blockLeft -= size;
    }
  }
  if (blockLeft < 0) {
    const all = BLOCK - BLOCK_HEADER - 4;
    return `its extended attributes take ${all - blockLeft} bytes beside the inode, and a block holds ${all}`;
  }
  inBlock.sort(
    (a, b) => a.index - b.index || a.name.length - b.name.length || Buffer.compare(a.name, b.name),
  );
  return { inInode, inBlock };
}

function attributeOf(fullName: string, value: Uint8Array): Attribute | string {
  const found = prefixes.find(([prefix]) => fullName.startsWith(prefix));
  if (found === undefined) return `ext4 has no place for the extended attribute ${fullName}`;
  const name = nameToBytes(fullName.slice(found[0].length));
  const isAcl = fullName.startsWith(POSIX_ACL);
  if (isAcl !== (name.length === 0)) return `ext4 has no place for the extended attribute ${fullName}`;
  if (name.length > 255) return `the name of the extended attribute ${fullName} is longer than 255 bytes`;
  if (name.includes(0)) return `the name of the extended attribute ${fullName} holds a NUL byte`;
  const stored = isAcl ? aclToDisk(value) : value;
  if (stored === undefined) return `its ${fullName} is not an access control list`;
  return { index: found[1], name, value: stored };
}

function sizeOf(attribute: Attribute): number {
  return ENTRY + padded(attribute.name.length) + padded(attribute.value.length);
}

/** Writes attributes into what an inode has beyond its fixed fields. */
export function writeInInode(attributes: readonly Attribute[], room: Buffer): void {
  if (attributes.length === 0) return;
  room.writeUInt32LE(MAGIC, 0);
  // Offsets of values count from the first entry here, and hashes are not kept.
  writeEntries(attributes, room.subarray(4), 0, false);
}

/** Writes attributes into a zeroed block. */
export function writeInBlock(attributes: readonly Attribute[], block: Buffer): void {
  block.writeUInt32LE(MAGIC, 0);
  block.writeUInt32LE(1, 4);
  block.writeUInt32LE(1, 8);
  const hashes = writeEntries(attributes, block, BLOCK_HEADER, true);
  let hash = 0;
  for (const one of hashes) hash = (hash << 16) ^ (hash >>> 16) ^ one;
  block.writeUInt32LE(hash >>> 0, 12);
}

function writeEntries(
  attributes: readonly Attribute[],
  into: Buffer,
  first: number,
  hashed: boolean,
): number[] {
  let at = first;
  let end = into.length;
  const hashes: number[] = [];
  for (const { index, name, value } of attributes) {
    end -= padded(value.length);
    into.writeUInt8(name.length, at);
    into.writeUInt8(index, at + 1);
    into.writeUInt16LE(value.length === 0 ? 0 : end, at + 2);
    into.writeUInt32LE(value.length, at + 8);
    into.set(value, end);
    into.set(name, at + ENTRY);
    const hash = hashed ? hashOf(name, into.subarray(end, end + padded(value.length))) : 0;
    into.writeUInt32LE(hash, at + 12);
    hashes.push(hash);
    at += ENTRY + padded(name.length);
  }
  return hashes;
}

function hashOf(name: Uint8Array, value: Buffer): number {
  let hash = 0;
  for (const byte of name) hash = (hash << 5) ^ (hash >>> 27) ^ byte;
  for (let at = 0; at < value.length; at += 4) hash = (hash << 16) ^ (hash >>> 16) ^ value.readUInt32LE(at);
  return hash >>> 0;
}

/** Reads the attributes of an inode, from what it has beyond its fixed fields and from its block. */
export function readXattrs(room: Buffer, block: Buffer | undefined): Xattrs {
  const found: [string, Uint8Array][] = [];
  if (room.length >= 4 && room.readUInt32LE(0) === MAGIC) found.push(...readEntries(room.subarray(4), 0));
  if (block?.readUInt32LE(0) === MAGIC) found.push(...readEntries(block, BLOCK_HEADER));
  return found.sort(([a], [b]) => Buffer.compare(nameToBytes(a), nameToBytes(b)));
}

function readEntries(from: Buffer, first: number): [string, Uint8Array][] {
  const found: [string, Uint8Array][] = [];
  for (let at = first; at + ENTRY <= from.length && from.readUInt32LE(at) !== 0; ) {
    const nameLength = from.readUInt8(at);
    const index = from.readUInt8(at + 1);
    const start = from.readUInt16LE(at + 2);
    const value = Uint8Array.from(from.subarray(start, start + from.readUInt32LE(at + 8)));
    const prefix = prefixes.find((candidate) => candidate[1] === index)?.[0] ?? `unknown-${index}.`;
    const name = prefix + nameFromBytes(from.subarray(at + ENTRY, at + ENTRY + nameLength));
    found.push([name, prefix.startsWith(POSIX_ACL) ? aclFromDisk(value) : value]);
    at += ENTRY + padded(nameLength);
  }
  return found;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
