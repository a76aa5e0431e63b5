// The superblock. Source: struct ext4_super_block in fs/ext4/ext4.h of Linux.
import { Failure } from '../../../formats/errors.ts';
import { BLOCK, BLOCKS_PER_GROUP, DESCRIPTOR_SIZE, FIRST_INODE, INODE_SIZE } from './layout.ts';

/** The first superblock is here, in bytes from the start; copies are at the start of their block. */
export const SUPERBLOCK_AT = 1024;
const SUPERBLOCK_SIZE = 1024;
const MAGIC = 0xef53;
const HALF_MD4 = 1;
/** Names are hashed as unsigned characters. */
const UNSIGNED_HASH = 2;

const compat = { extAttr: 0x8, dirIndex: 0x20 };
const incompat = {
  filetype: 0x2,
  recover: 0x4,
  extents: 0x40,
  bits64: 0x80,
  flexBg: 0x200,
  csumSeed: 0x2000,
};
const roCompat = { sparseSuper: 0x1, largeFile: 0x2, hugeFile: 0x8, dirNlink: 0x20, extraIsize: 0x40 };

/** What names a filesystem. All of it is given: nothing is drawn or read from a clock. */
export interface Identity {
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** At most 16 bytes of UTF-8. */
  readonly label: string;
  /** 16 bytes that seed the hashes of directories. */
  readonly hashSeed: Uint8Array;
  /** Time of making and last write, seconds since 1970. */
  readonly time: number;
}

export interface Counts {
  readonly blocks: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
}

/** The superblock of group `group`, 1,024 bytes. */
export function encodeSuperblock(identity: Identity, counts: Counts, group: number): Buffer {
  const block = Buffer.alloc(SUPERBLOCK_SIZE);
  const u32 = (at: number, value: number): number => block.writeUInt32LE(value >>> 0, at);
  const u16 = (at: number, value: number): number => block.writeUInt16LE(value, at);
  u32(0, counts.inodes);
  u32(4, counts.blocks);
  u32(12, counts.freeBlocks);
  u32(16, counts.freeInodes);
  u32(24, Math.log2(BLOCK / 1024));
  u32(28, Math.log2(BLOCK / 1024));
  u32(32, BLOCKS_PER_GROUP);
  u32(36, BLOCKS_PER_GROUP);
  u32(40, counts.inodesPerGroup);
  u32(48, identity.time);
  u16(54, 0xffff); // No check because of the number of mounts.
  u16(56, MAGIC);
  u16(58, 1); // Clean.
  u16(60, 1); // On errors: continue. It is mounted read-only.
  u32(64, identity.time);
  u32(76, 1);
  u32(84, FIRST_INODE);
  u16(88, INODE_SIZE);
  u16(90, Math.min(group, 0xffff)); // 16 bits, for groups beyond 8 TiB too: e2fsprogs stops there as well.
  u32(92, compat.extAttr | compat.dirIndex);
  u32(96, incompat.filetype | incompat.extents | incompat.flexBg);
  u32(
    100,
    roCompat.sparseSuper | roCompat.largeFile | roCompat.hugeFile | roCompat.dirNlink | roCompat.extraIsize,
  );
  block.set(identity.uuid, 104);
  block.set(Buffer.from(identity.label, 'utf8').subarray(0, 16), 120);
  block.set(identity.hashSeed, 236);
  block.writeUInt8(HALF_MD4, 252);
  u32(256, 0x000c); // Mounted with user_xattr and acl.
  u32(264, identity.time);
  u16(348, 32);
  u16(350, 32);
  u32(352, UNSIGNED_HASH);
  block.writeUInt8(4, 372); // 16 groups share a place for their structures.
  return block;
}

/** The seed as the words the hash takes. */
export function seedWords(hashSeed: Uint8Array): number[] {
  const bytes = Buffer.from(hashSeed);
  return [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at));
}

/** What a reader needs to know of a filesystem. */
export interface Superblock {
  readonly blockSize: number;
  readonly blocks: number;
  readonly inodes: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly inodeSize: number;
  readonly inodesPerGroup: number;
  readonly blocksPerGroup: number;
  readonly firstDataBlock: number;
  readonly descriptorSize: number;
  readonly uuid: Uint8Array;
  readonly label: string;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Reads the superblock; refuses with Failure('unsupported', …) what `readExt4` cannot read. */
export function decodeSuperblock(bytes: Buffer, where: string): Superblock {
  const u32 = (at: number): number => bytes.readUInt32LE(at);
  const refuse = (why: string): never => {
    throw new Failure('unsupported', { what: 'not an ext4 filesystem that can be read', where, why });
  };
  if (bytes.readUInt16LE(56) !== MAGIC) refuse('there is no superblock');
  const features = u32(96);
  const known = incompat.filetype | incompat.extents | incompat.bits64 | incompat.flexBg | incompat.csumSeed;
  if ((features & incompat.recover) !== 0) refuse('its journal has not been replayed: run e2fsck on it');
  if ((features & ~known) !== 0) refuse(`it has features 0x${(features & ~known).toString(16)}`);
  const inodeSize = bytes.readUInt16LE(88);
  const descriptorSize = (features & incompat.bits64) !== 0 ? bytes.readUInt16LE(254) : DESCRIPTOR_SIZE;
  const sizes = u32(24) <= 6 && inodeSize >= 128 && inodeSize <= 1024 << u32(24) && descriptorSize >= 32;
  if (!sizes || u32(40) === 0) refuse('its superblock is damaged');
  const label = bytes.subarray(120, 136);
  const end = label.indexOf(0);
  const is64 = (features & incompat.bits64) !== 0;
  return {
    blockSize: 1024 << u32(24),
    blocks: u32(4) + (is64 ? u32(336) * 0x1_0000_0000 : 0),
    inodes: u32(0),
    freeBlocks: u32(12),
    freeInodes: u32(16),
    inodeSize,
    inodesPerGroup: u32(40),
    blocksPerGroup: u32(32),
    firstDataBlock: u32(20),
    descriptorSize,
    uuid: Uint8Array.from(bytes.subarray(104, 120)),
    label: label.toString('utf8', 0, end < 0 ? 16 : end),
    time: u32(48),
  };
}
