// Gives numbers to inodes and places to blocks, so that a small edit moves little.
//
// The entries are cut at those whose path hashes to a multiple of a power of two: where the cuts are depends on no
// neighbour. Between two cuts everything follows each other; at a cut, what is before it since the last cut of that
// rank is rounded up. What grows a little moves the rest up to the next cut, seldom up to the next of a higher rank.
import type { Census, Index } from './census.ts';
import { extentsOf, isLong, treeBlocks } from './extents.ts';
import { FIRST_INODE, type Geometry, ROOT_INODE } from './layout.ts';

/**
 * Ranks of cuts: one in about `every` entries, where the blocks and the inodes before it are rounded up to a part of
 * themselves.
 */
const ranks = [
  { every: 16, blocks: 8, inodes: 4 },
  { every: 128, blocks: 16, inodes: 8 },
  { every: 512, blocks: 16, inodes: 8 },
  { every: 2048, blocks: 16, inodes: 16 },
] as const;
/** No more than so many blocks or inodes are left free at a cut, and blocks after a file. */
const MOST_AT_CUT = 4096;
const MOST_AFTER_FILE = 256;

/** Numbers that are given out one after another, with some left free at the cuts. */
class Shelves {
  next: number;
  /** Where the last cut of each rank was. */
  readonly #starts: number[];
  readonly #what: 'blocks' | 'inodes';
  readonly #roomy: boolean;

  constructor(what: 'blocks' | 'inodes', start: number, roomy: boolean) {
    this.next = start;
    this.#what = what;
    this.#starts = ranks.map(() => start);
    this.#roomy = roomy;
  }

  /** Comes before each entry: `hash` is made of its path. */
  cut(hash: number): void {
    if (!this.#roomy || hash % ranks[0].every !== 0) return;
    for (const [rank, cut] of ranks.entries()) {
      if (hash % cut.every !== 0) return;
      const start = this.#starts[rank] ?? 0;
      this.next = start + rounded(this.next - start, cut[this.#what], MOST_AT_CUT);
      this.#starts.fill(this.next, 0, rank + 1);
    }
  }
}

/** Numbers every inode and gives the first unused number. `roomy` leaves room for small edits. */
export function numberInodes(census: Census, roomy: boolean): number {
  const shelves = new Shelves('inodes', FIRST_INODE, roomy);
  for (let index = 0, { length } = census; index < length; index++) {
    if (census.owner(index) !== index) continue;
    if (index > 1) shelves.cut(census.hash(index));
    census.setInode(index, index === 0 ? ROOT_INODE : shelves.next++);
  }
  return shelves.next;
}

/** Gives every inode its blocks, from place `start` on, and gives the first place after them. */
export function placeBlocks(census: Census, geometry: Geometry, start: number, roomy: boolean): number {
  // A few inodes more make longer tables: that moves no file.
  const shelves = new Shelves('blocks', roomy ? rounded(start, 2, MOST_AT_CUT) : start, roomy);
  for (let index = 0, { length } = census; index < length; index++) {
    if (census.owner(index) !== index) continue;
    if (index > 1) shelves.cut(census.hash(index));
    census.setPlace(index, shelves.next, treeBlocksAt(census, geometry, index, shelves.next));
    const blocks = census.blocks(index);
    shelves.next += roomy && blocks >= 16 ? rounded(blocks, 16, MOST_AFTER_FILE) : blocks;
  }
  return shelves.next;
}

/** How many blocks the extent tree of a file at a place takes beside the inode. */
function treeBlocksAt(census: Census, geometry: Geometry, index: Index, place: number): number {
  // Most files: one extent, two at a copy of the superblock.
  if (!census.hasHoles(index) && !isLong(census.content(index))) return 0;
  const runs = census.runs(index);
  return treeBlocks(extentsOf(runs, geometry.runs(place, census.content(index))).length);
}

/** Rounds up to a multiple of the largest power of two in a `part` of it. */
function rounded(count: number, part: number, most: number): number {
  const step = Math.min(most, 2 ** Math.floor(Math.log2(Math.max(1, count / part))));
  return Math.ceil(count / step) * step;
}
