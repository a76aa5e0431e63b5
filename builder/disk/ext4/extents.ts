// Extent trees: which blocks of a file are where.
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

/** How many blocks the tree of so many extents takes outside of the inode. */
export function treeBlocks(extents: number): number {
  let total = 0;
  for (let nodes = extents; nodes > MOST_IN_INODE; ) {
    nodes = Math.ceil(nodes / MOST_IN_BLOCK);
    total += nodes;
  }
  return total;
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
  let level: { logical: number; write: (into: Buffer, at: number) => void }[] = extents.map((extent) => ({
    logical: extent.logical,
    write: (into, at) => {
      into.writeUInt32LE(extent.logical, at);
      into.writeUInt16LE(extent.count, at + 4);
      into.writeUInt16LE(0, at + 6);
      into.writeUInt32LE(extent.start, at + 8);
    },
  }));
  let depth = 0;
  let next = 0;
  while (level.length > MOST_IN_INODE) {
    const parents: typeof level = [];
    for (let i = 0; i < level.length; i += MOST_IN_BLOCK) {
      const children = level.slice(i, i + MOST_IN_BLOCK);
      const block = blocks[next];
      const number = numbers[next];
      const logical = children[0]?.logical ?? 0;
      if (block === undefined || number === undefined) throw new Error('an extent tree has too few blocks');
      next++;
      writeNode(block, MOST_IN_BLOCK, depth, children);
      parents.push({
        logical,
        write: (into, at) => {
          into.writeUInt32LE(logical, at);
          into.writeUInt32LE(number, at + 4);
        },
      });
    }
    level = parents;
    depth++;
  }
  writeNode(root, MOST_IN_INODE, depth, level);
}

function writeNode(
  into: Buffer,
  most: number,
  depth: number,
  children: readonly { write: (into: Buffer, at: number) => void }[],
): void {
  into.writeUInt16LE(MAGIC, 0);
  into.writeUInt16LE(children.length, 2);
  into.writeUInt16LE(most, 4);
  into.writeUInt16LE(depth, 6);
  for (const [i, child] of children.entries()) child.write(into, STEP * (i + 1));
}

/** Reads a tree; `readBlock` gives the bytes of a block. */
export function readTree(node: Buffer, readBlock: (block: number) => Buffer): Extent[] {
  if (node.readUInt16LE(0) !== MAGIC) throw new Error('no extent tree where one should be');
  const count = node.readUInt16LE(2);
  const depth = node.readUInt16LE(6);
  const extents: Extent[] = [];
  for (let at = STEP; at <= count * STEP; at += STEP) {
    if (depth === 0) {
      const length = node.readUInt16LE(at + 4);
      // Longer than the longest: allocated, reads as zeros.
      if (length > LONGEST) continue;
      const start = node.readUInt16LE(at + 6) * 0x1_0000_0000 + node.readUInt32LE(at + 8);
      extents.push({ logical: node.readUInt32LE(at), count: length, start });
    } else {
      const child = node.readUInt16LE(at + 8) * 0x1_0000_0000 + node.readUInt32LE(at + 4);
      extents.push(...readTree(readBlock(child), readBlock));
    }
  }
  return extents;
}
