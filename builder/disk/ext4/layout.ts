// Where things are in an ext4 filesystem of a given size. Source: Documentation/filesystems/ext4 of Linux.
import type { Range } from '../volume.ts';

export const BLOCK = 4096;
export const BLOCKS_PER_GROUP = 8 * BLOCK;
export const INODE_SIZE = 256;
const INODES_PER_BLOCK = BLOCK / INODE_SIZE;
export const DESCRIPTOR_SIZE = 32;
export const ROOT_INODE = 2;
/** Inodes below are the filesystem's own; this one is lost+found. */
export const FIRST_INODE = 11;
/** In one group: its bitmap is one block. */
const MOST_INODES = 8 * BLOCK;
/** Block numbers have 32 bits. */
export const MOST_BLOCKS = 0xffff_ffff;

/** A run of blocks: where it is on the disk. */
export interface Run {
  readonly start: number;
  readonly count: number;
}

/**
 * The blocks of a filesystem. Copies of the superblock and group descriptors lie at the head of groups 1 and powers of
 * 3, 5 and 7 (sparse_super). Everything else is counted in "places": blocks numbered as if those copies were not
 * there, so that whatever follows each other in places is one run but for a copy in between.
 */
export class Geometry {
  readonly blocks: number;
  readonly groups: number;
  /** Blocks of a superblock with the group descriptors after it. */
  readonly headBlocks: number;
  /** Places there are. */
  readonly places: number;
  /** First blocks of the copies, ascending. */
  readonly copies: readonly number[];

  constructor(size: number) {
    let blocks = Math.floor(size / BLOCK);
    const head = (): number =>
      1 + Math.ceil((Math.ceil(blocks / BLOCKS_PER_GROUP) * DESCRIPTOR_SIZE) / BLOCK);
    const rest = blocks % BLOCKS_PER_GROUP;
    // A last group too small for a copy is left out, as mke2fs does.
    if (rest > 0 && rest < head() + 50 && blocks > BLOCKS_PER_GROUP) blocks -= rest;
    this.blocks = blocks;
    this.groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
    this.headBlocks = head();
    const copies: number[] = [];
    for (let group = 1; group < this.groups; group++)
      if (holdsCopy(group)) copies.push(group * BLOCKS_PER_GROUP);
    this.copies = copies;
    this.places = blocks - copies.length * this.headBlocks;
  }

  /** The runs of blocks that `count` places from `place` on are. */
  runs(place: number, count: number): Run[] {
    const runs: Run[] = [];
    let at = place;
    let left = count;
    let skipped = 0;
    for (const copy of this.copies) {
      if (left === 0) break;
      const room = copy - skipped - at;
      if (room > 0) {
        const part = Math.min(room, left);
        runs.push({ start: at + skipped, count: part });
        at += part;
        left -= part;
      }
      skipped += this.headBlocks;
    }
    if (left > 0) runs.push({ start: at + skipped, count: left });
    return runs;
  }

  /** The block at one place. */
  block(place: number): number {
    let block = place;
    for (const copy of this.copies) {
      if (block < copy) break;
      block += this.headBlocks;
    }
    return block;
  }

  /** Whether `count` places from `place` on are one run of blocks. */
  isUnbroken(place: number, count: number): boolean {
    return this.block(place + count - 1) - this.block(place) === count - 1;
  }

  /** The first place from `place` on with `count` blocks in one run. */
  unbroken(place: number, count: number): number {
    const first = this.runs(place, count)[0];
    return first === undefined || first.count === count ? place : place + first.count;
  }
}

/** Whether a group starts with a copy of the superblock and the descriptors. */
function holdsCopy(group: number): boolean {
  if (group <= 1) return true;
  for (const base of [3, 5, 7]) {
    let power = base;
    while (power < group) power *= base;
    if (power === group) return true;
  }
  return false;
}

/** Where the filesystem's own structures are, in places. */
export interface Layout {
  readonly geometry: Geometry;
  readonly inodesPerGroup: number;
  /** First of as many block bitmaps as groups; the inode bitmaps follow. */
  readonly bitmaps: number;
  /** First place of each group's inode table. */
  readonly tables: readonly number[];
  /** First place that is free for files. */
  readonly data: number;
}

/**
 * Lays out the structures for at least `inodes` inodes. Whether they fit is seen by `data`; undefined where the groups
 * are too few to number so many.
 */
export function layOut(geometry: Geometry, inodes: number): Layout | undefined {
  const inodesPerGroup =
    Math.max(1, Math.ceil(inodes / geometry.groups / INODES_PER_BLOCK)) * INODES_PER_BLOCK;
  if (inodesPerGroup > MOST_INODES) return undefined;
  const tableBlocks = inodesPerGroup / INODES_PER_BLOCK;
  const bitmaps = geometry.headBlocks;
  let place = bitmaps + 2 * geometry.groups;
  const tables: number[] = [];
  for (let group = 0; group < geometry.groups; group++) {
    place = geometry.unbroken(place, tableBlocks);
    tables.push(place);
    place += tableBlocks;
  }
  return { geometry, inodesPerGroup, bitmaps, tables, data: place };
}

/** Blocks of the least filesystem whose groups can number so many inodes. */
export function leastBlocks(inodes: number): number {
  return (Math.ceil(inodes / MOST_INODES) - 1) * BLOCKS_PER_GROUP + 1;
}

/** Byte ranges written when places below `end` are: those, and the copies beyond them. */
export function mappedRanges(geometry: Geometry, end: number): Range[] {
  const reached = end === 0 ? 0 : geometry.block(end - 1) + 1;
  const ranges = [{ start: 0, end: reached * BLOCK }];
  for (const copy of geometry.copies) {
    const last = ranges[ranges.length - 1];
    if (last === undefined || copy < reached) continue;
    const copyEnd = (copy + geometry.headBlocks) * BLOCK;
    if (copy === reached && ranges.length === 1) ranges[0] = { start: 0, end: copyEnd };
    else ranges.push({ start: copy * BLOCK, end: copyEnd });
  }
  return ranges;
}
