// Block groups: their descriptors, and the bitmaps of what is taken.
import { BLOCK, BLOCKS_PER_GROUP, DESCRIPTOR_SIZE, type Layout, type Run } from './layout.ts';

/** What is taken in one group. */
export interface GroupUse {
  freeBlocks: number;
  freeInodes: number;
  directories: number;
}

/** The group descriptors, one after another. */
export function encodeDescriptors(layout: Layout, use: readonly GroupUse[]): Buffer {
  const { geometry } = layout;
  const bytes = Buffer.alloc((geometry.headBlocks - 1) * BLOCK);
  for (const [group, { freeBlocks, freeInodes, directories }] of use.entries()) {
    const at = group * DESCRIPTOR_SIZE;
    bytes.writeUInt32LE(geometry.block(layout.bitmaps + group), at);
    bytes.writeUInt32LE(geometry.block(layout.bitmaps + geometry.groups + group), at + 4);
    bytes.writeUInt32LE(geometry.block(layout.tables[group] ?? 0), at + 8);
    bytes.writeUInt16LE(freeBlocks, at + 12);
    bytes.writeUInt16LE(freeInodes, at + 14);
    bytes.writeUInt16LE(directories, at + 16);
  }
  return bytes;
}

/** Sets `count` bits from `from` on. */
export function setBits(bitmap: Uint8Array, from: number, count: number): void {
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

/** The runs of blocks, ascending, cut at the borders of groups. */
export function* byGroup(runs: Iterable<Run>): Generator<{ group: number; from: number; count: number }> {
  for (const run of runs) {
    for (let start = run.start, left = run.count; left > 0; ) {
      const group = Math.floor(start / BLOCKS_PER_GROUP);
      const from = start % BLOCKS_PER_GROUP;
      const count = Math.min(left, BLOCKS_PER_GROUP - from);
      yield { group, from, count };
      start += count;
      left -= count;
    }
  }
}
