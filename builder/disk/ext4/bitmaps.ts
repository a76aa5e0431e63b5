// Bitmaps of the blocks and inodes in use: one block a group each, written as what is in use comes by.
import type { Batch } from '../batch.ts';
import type { Used } from './groups.ts';
import { BLOCK, BLOCKS_PER_GROUP, FIRST_INODE, type Geometry } from './layout.ts';
import type { Ext4Plan } from './write.ts';

/** Writes the block bitmaps of all groups, then their inode bitmaps. */
export function writeBitmaps({ census, layout }: Ext4Plan, used: readonly Used[], batch: Batch): void {
  const { geometry, inodesPerGroup } = layout;
  const blocks = new Bitmaps(batch, (bitmap, group) => endBlocks(geometry, bitmap, group));
  for (const { group, from, count } of used) blocks.set(group, from, count);
  blocks.end(geometry.groups);
  const inodes = new Bitmaps(batch, (bitmap) => setBits(bitmap, inodesPerGroup, 8 * BLOCK - inodesPerGroup));
  inodes.set(0, 0, FIRST_INODE - 1);
  const { length } = census;
  for (let index = 1; index < length; index++) {
    if (census.owner(index) !== index) continue;
    const number = census.inode(index) - 1;
    inodes.set(Math.floor(number / inodesPerGroup), number % inodesPerGroup, 1);
  }
  inodes.end(geometry.groups);
}

/** Blocks that are taken in any case: a copy of the superblock, and those behind the end. */
function endBlocks(geometry: Geometry, bitmap: Buffer, group: number): void {
  if (geometry.copies.includes(group * BLOCKS_PER_GROUP)) setBits(bitmap, 0, geometry.headBlocks);
  const blocks = Math.min(BLOCKS_PER_GROUP, geometry.blocks - group * BLOCKS_PER_GROUP);
  setBits(bitmap, blocks, BLOCKS_PER_GROUP - blocks);
}

/** One bitmap after another; groups come in ascending order. */
class Bitmaps {
  readonly #batch: Batch;
  readonly #finish: (bitmap: Buffer, group: number) => void;
  readonly #bitmap = Buffer.alloc(BLOCK);
  #group = 0;

  constructor(batch: Batch, finish: (bitmap: Buffer, group: number) => void) {
    this.#batch = batch;
    this.#finish = finish;
  }

  set(group: number, from: number, count: number): void {
    this.end(group);
    setBits(this.#bitmap, from, count);
  }

  /** Writes the bitmaps of all groups below `group`. */
  end(group: number): void {
    while (this.#group < group) {
      this.#finish(this.#bitmap, this.#group++);
      this.#batch.append({ at: 'memory', bytes: this.#bitmap }, 0, BLOCK);
      this.#bitmap.fill(0);
    }
  }
}

function setBits(bitmap: Uint8Array, from: number, count: number): void {
  const end = from + count;
  let at = from;
  while (at < end && at % 8 !== 0) setBit(bitmap, at++);
  if (end - at >= 8) {
    bitmap.fill(0xff, at / 8, Math.floor(end / 8));
    at = Math.floor(end / 8) * 8;
  }
  while (at < end) setBit(bitmap, at++);
}

function setBit(bitmap: Uint8Array, at: number): void {
  bitmap[at >> 3] = (bitmap[at >> 3] ?? 0) | (1 << (at & 7));
}
