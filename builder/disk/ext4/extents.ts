// Extent trees: which blocks of a file are where.
import { lengthOf, type Segment } from '../../tree/entry.ts';
import { BLOCK, type Run } from './layout.ts';

const MAGIC = 0xf30a;
/** Bytes of a header and of an entry. */
const STEP = 12;
const MOST_IN_INODE = 4;
const MOST_IN_BLOCK = Math.floor((BLOCK - STEP) / STEP);
/** Longer ones would mean blocks that are allocated but not written. */
const LONGEST = 32_768;

/** `count` blocks of a file from block `logical` on are the disk's blocks from `start` on. */
export interface Extent {
  readonly logical: number;
  readonly start: number;
  readonly count: number;
}

/** Runs of blocks of a file (all one after another on the disk but for breaks), as extents. */
export function extentsOf(runs: readonly LogicalRun[], blocks: readonly Run[]): Extent[] {
  const extents: Extent[] = [];
  let piece = 0;
  let used = 0;
  for (const run of runs) {
    for (let done = 0; done < run.count; ) {
      const place = blocks[piece];
      if (place === undefined) throw new Error('a file has more blocks than were given to it');
      const count = Math.min(run.count - done, place.count - used, LONGEST);
      extents.push({ logical: run.logical + done, start: place.start + used, count });
      done += count;
      used += count;
      if (used === place.count) {
        piece++;
        used = 0;
      }
    }
  }
  return extents;
}

/** Blocks of a file that hold data, one run after another. */
export interface LogicalRun {
  readonly logical: number;
  readonly count: number;
}

/** The blocks that hold something of a file with holes. */
export function runsOf(segments: readonly Segment[]): LogicalRun[] {
  const runs: { logical: number; count: number }[] = [];
  let reached = 0;
  for (const { offset, bytes } of segments) {
    const length = lengthOf(bytes);
    if (offset < reached) throw new Error('the segments of a file are not in order');
    if (length === 0) continue;
    reached = offset + length;
    const first = Math.floor(offset / BLOCK);
    const end = Math.ceil(reached / BLOCK);
    const last = runs[runs.length - 1];
    if (last !== undefined && first <= last.logical + last.count) last.count = end - last.logical;
    else runs.push({ logical: first, count: end - first });
  }
  return runs;
}

/** How many blocks the tree of so many extents takes outside of the inode. */
export function treeBlocks(extents: number): number {
  let total = 0;
  for (let nodes = extents; nodes > MOST_IN_INODE; ) {
    nodes = Math.ceil(nodes / MOST_IN_BLOCK);
    total += nodes;
  }
  return total;
}

/** Whether the blocks of a file need more than one extent even where they follow each other. */
export function isLong(blocks: number): boolean {
  return blocks > LONGEST;
}

/** Writes the tree of a file that is empty or in one piece (not a long one) into its inode, from `at` on. */
export function writeSingle(into: DataView, at: number, blocks: number, start: number): void {
  into.setUint16(at, MAGIC, true);
  into.setUint16(at + 2, blocks === 0 ? 0 : 1, true);
  into.setUint16(at + 4, MOST_IN_INODE, true);
  if (blocks === 0) return;
  into.setUint16(at + STEP + 4, blocks, true);
  into.setUint32(at + STEP + 8, start, true);
}

/** An entry of a node: an extent in a leaf, a child (without count) above. */
interface NodeEntry {
  readonly logical: number;
  readonly start: number;
  readonly count?: number;
}

/**
 * Writes a tree: its root into the 60 bytes `root` of the inode, its other nodes into `blocks` (zeroed, one after
 * another), which are the disk's blocks `numbers`.
 */
export function writeTree(
  extents: readonly Extent[],
  root: Buffer,
  blocks: readonly Buffer[],
  numbers: readonly number[],
): void {
  let level: readonly NodeEntry[] = extents;
  let depth = 0;
  let next = 0;
  while (level.length > MOST_IN_INODE) {
    const parents: NodeEntry[] = [];
    for (let i = 0; i < level.length; i += MOST_IN_BLOCK) {
      const children = level.slice(i, i + MOST_IN_BLOCK);
      const block = blocks[next];
      const start = numbers[next++];
      if (block === undefined || start === undefined) throw new Error('an extent tree has too few blocks');
      writeNode(block, MOST_IN_BLOCK, depth, children);
      parents.push({ logical: children[0]?.logical ?? 0, start });
    }
    level = parents;
    depth++;
  }
  writeNode(root, MOST_IN_INODE, depth, level);
}

function writeNode(into: Buffer, most: number, depth: number, entries: readonly NodeEntry[]): void {
  writeHeader(into, entries.length, most, depth);
  for (const [i, { logical, start, count }] of entries.entries()) {
    const at = STEP * (i + 1);
    if (count !== undefined) writeExtent(into, at, logical, count, start);
    else {
      into.writeUInt32LE(logical, at);
      into.writeUInt32LE(start, at + 4);
    }
  }
}

function writeHeader(into: Buffer, count: number, most: number, depth: number): void {
  into.writeUInt16LE(MAGIC, 0);
  into.writeUInt16LE(count, 2);
  into.writeUInt16LE(most, 4);
  into.writeUInt16LE(depth, 6);
}

function writeExtent(into: Buffer, at: number, logical: number, count: number, start: number): void {
  into.writeUInt32LE(logical, at);
  into.writeUInt16LE(count, at + 4);
  into.writeUInt32LE(start, at + 8);
}

/** The kernel makes no deeper trees. */
const DEEPEST = 5;

/** Reads a tree; `readBlock` gives the bytes of a block. A RangeError says that it is damaged. */
export function readTree(
  node: Buffer,
  readBlock: (block: number) => Buffer,
  deepest = DEEPEST,
  reached = { logical: 0 },
): Extent[] {
  const count = node.readUInt16LE(2);
  const depth = node.readUInt16LE(6);
  if (node.readUInt16LE(0) !== MAGIC || depth > deepest || (count + 1) * STEP > node.length)
    throw new RangeError('no extent tree where one should be');
  const extents: Extent[] = [];
  for (let at = STEP; at <= count * STEP; at += STEP) {
    if (depth === 0) {
      const length = node.readUInt16LE(at + 4);
      const logical = node.readUInt32LE(at);
      // In order, so that no node counts twice.
      if (length === 0 || logical < reached.logical) throw new RangeError('an extent tree is not in order');
      reached.logical = logical + (length > LONGEST ? length - LONGEST : length);
      // Longer than the longest: allocated, reads as zeros.
      if (length > LONGEST) continue;
      const start = node.readUInt16LE(at + 6) * 0x1_0000_0000 + node.readUInt32LE(at + 8);
      extents.push({ logical, count: length, start });
    } else {
      const child = node.readUInt16LE(at + 8) * 0x1_0000_0000 + node.readUInt32LE(at + 4);
      extents.push(...readTree(readBlock(child), readBlock, depth - 1, reached));
    }
  }
  return extents;
}
