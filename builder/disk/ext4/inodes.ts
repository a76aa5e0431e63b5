// Inodes. Source: struct ext4_inode in fs/ext4/ext4.h of Linux.
import { INODE_SIZE } from './layout.ts';

/** Room for an extent tree's root, a short symbolic link or a device number. */
export const BLOCK_FIELD = { at: 40, length: 60 };
/** Extended attributes start here. */
export const XATTRS_AT = 160;
export const XATTR_ROOM = INODE_SIZE - XATTRS_AT;
/** A symbolic link of up to so many bytes is in the inode. */
export const LONGEST_FAST_LINK = 59;
export const MOST_LINKS = 65_000;
const EXTENTS = 0x80000;
const INDEXED = 0x1000;
/** Times have 34 bits, the lowest at 1901. */
export const EARLIEST = -0x8000_0000;
export const LATEST = 0x3_7fff_ffff;

const formats = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const;
export type InodeKind = keyof typeof formats;

/** File type codes of directory entries. */
export const fileType: Readonly<Record<InodeKind, number>> = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
};

/** Where its four times are: access, change, content, making; and their highest bits. */
const times = [8, 12, 16, 144] as const;
const epochs = [132, 136, 140, 148] as const;

/** What an inode says beyond its extents, target or device, and its xattrs. */
export interface Inode {
  kind: InodeKind;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  size: number;
  links: number;
  /** Blocks taken, all kinds. */
  blocks: number;
  mapped: boolean;
  indexed: boolean;
  /** Block of extended attributes, 0 for none. */
  xattrBlock: number;
}

/** Writes the fixed fields into 256 zeroed bytes from `start` on. */
export function encodeInode(inode: Readonly<Inode>, into: DataView, start: number): void {
  // A DataView is faster than a Buffer's methods, which check ranges again and again.
  const { kind, mode, uid, gid, mtime, size } = inode;
  const sectors = inode.blocks * 8;
  into.setUint16(start, formats[kind] | mode, true);
  into.setUint16(start + 2, uid, true);
  into.setUint32(start + 4, size, true);
  for (const at of times) into.setUint32(start + at, mtime, true);
  into.setUint16(start + 24, gid, true);
  into.setUint16(start + 26, inode.links, true);
  into.setUint32(start + 28, sectors, true);
  into.setUint32(start + 32, (inode.mapped ? EXTENTS : 0) | (inode.indexed ? INDEXED : 0), true);
  into.setUint32(start + 104, inode.xattrBlock, true);
  into.setUint32(start + 108, Math.floor(size / 0x1_0000_0000), true);
  into.setUint16(start + 116, Math.floor(sectors / 0x1_0000_0000), true);
  into.setUint16(start + 120, uid >>> 16, true);
  into.setUint16(start + 122, gid >>> 16, true);
  into.setUint16(start + 128, 32, true);
  const epoch = Math.floor((mtime + 0x8000_0000) / 0x1_0000_0000);
  for (const at of epochs) into.setUint32(start + at, epoch, true);
}

/** Writes a device number into the block field, in the shorter form where it fits. */
export function encodeDevice({ major, minor }: { major: number; minor: number }, field: Buffer): void {
  if (major < 256 && minor < 256) field.writeUInt32LE((major << 8) | minor, 0);
  else field.writeUInt32LE(((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0, 4);
}

export function decodeDevice(field: Buffer): { major: number; minor: number } {
  const short = field.readUInt32LE(0);
  if (short !== 0) return { major: short >>> 8, minor: short & 0xff };
  const long = field.readUInt32LE(4);
  return { major: (long >>> 8) & 0xfff, minor: (long & 0xff) | ((long >>> 12) & 0xfff00) };
}

/** Reads the fixed fields; undefined for an inode that is not in use. */
export function decodeInode(from: Buffer): Inode | undefined {
  const u32 = (at: number): number => from.readUInt32LE(at);
  const u16 = (at: number): number => from.readUInt16LE(at);
  const format = u16(0) & 0o170000;
  const kind = (Object.keys(formats) as InodeKind[]).find((candidate) => formats[candidate] === format);
  if (kind === undefined || u16(26) === 0) return undefined;
  const extra = from.length > 128 ? u16(128) : 0;
  return {
    kind,
    mode: u16(0) & 0o7777,
    uid: u16(2) + u16(120) * 0x1_0000,
    gid: u16(24) + u16(122) * 0x1_0000,
    mtime: from.readInt32LE(16) + (extra >= 12 ? (u32(136) & 3) * 0x1_0000_0000 : 0),
    size: u32(4) + u32(108) * 0x1_0000_0000,
    links: u16(26),
    blocks: (u32(28) + u16(116) * 0x1_0000_0000) / 8,
    mapped: (u32(32) & EXTENTS) !== 0,
    indexed: (u32(32) & INDEXED) !== 0,
    xattrBlock: u32(104) + u16(118) * 0x1_0000_0000,
  };
}
