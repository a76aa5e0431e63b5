// Gives numbers to inodes and places to blocks, so that a small edit moves little.
//
// The entries are cut into shelves of about 64 and halls of about 2,048, at entries whose path hashes to a multiple of
// a power of two: where the cuts are depends on no neighbour. Within a shelf everything follows each other. The room of
// a file of 16 blocks or more, of a shelf and of a hall is rounded up to a sixteenth of it (inodes: a quarter and an
// eighth), so what grows a little moves the rest of its shelf, rarely of its hall, hardly ever more.
import type { Census, Index } from './census.ts';
import { extentsOf, treeBlocks } from './extents.ts';
import { FIRST_INODE, type Geometry, ROOT_INODE } from './layout.ts';

const SHELF = 64;
const HALL = 2048;
/** No more than so many blocks are left free at the end of a file, shelf, hall. */
const MOST_FREE = { file: 256, shelf: 1024, hall: 4096 };

/** Numbers every inode and gives the first unused number. `roomy` leaves room for small edits. */
export function numberInodes(census: Census, roomy: boolean): number {
  let next = FIRST_INODE;
  let shelf = next;
  let hall = next;
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    if (roomy && index > 1 && census.hash(index) % SHELF === 0) {
      next = shelf + rounded(next - shelf, 4, Number.POSITIVE_INFINITY);
      if (census.hash(index) % HALL === 0) {
        next = hall + rounded(next - hall, 8, Number.POSITIVE_INFINITY);
        hall = next;
      }
      shelf = next;
    }
    census.setInode(index, index === 0 ? ROOT_INODE : next++);
  }
  return next;
}

/** Gives every inode its blocks, from place `start` on, and gives the first place after them. */
export function placeBlocks(census: Census, geometry: Geometry, start: number, roomy: boolean): number {
  let next = start;
  let shelf = start;
  let hall = start;
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    if (roomy && index > 1 && census.hash(index) % SHELF === 0) {
      next = shelf + rounded(next - shelf, 16, MOST_FREE.shelf);
      if (census.hash(index) % HALL === 0) {
        next = hall + rounded(next - hall, 16, MOST_FREE.hall);
        hall = next;
      }
      shelf = next;
    }
    census.setPlace(index, next, treeBlocksAt(census, geometry, index, next));
    const blocks = census.blocks(index);
    next += roomy && blocks >= 16 ? rounded(blocks, 16, MOST_FREE.file) : blocks;
  }
  return next;
}

/** How many blocks the extent tree of a file at a place takes beside the inode. */
function treeBlocksAt(census: Census, geometry: Geometry, index: Index, place: number): number {
  const runs = census.runs(index);
  // Most files: one extent, two at a copy of the superblock.
  if (runs.length <= 1 && census.content(index) <= 32_768) return 0;
  return treeBlocks(extentsOf(runs, geometry.runs(place, census.content(index))).length);
}

/** Rounds up to a multiple of the largest power of two in a `part` of it. */
function rounded(count: number, part: number, most: number): number {
  const step = Math.min(most, 2 ** Math.floor(Math.log2(Math.max(1, count / part))));
  return Math.ceil(count / step) * step;
}
