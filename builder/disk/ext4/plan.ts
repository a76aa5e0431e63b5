// An ext4 filesystem for reading: no journal, no checksums, nothing that Linux 4.14 does not know.
//
// 4 KiB blocks, 256-byte inodes, extents, indexed directories, extended attributes in the inode and in one block.
// The structures of all groups are in one place at the front (flex_bg), the files follow: what is mapped is one range
// and the copies of the superblock. The same tree and options make the same bytes. See placement.ts for how a small
// edit changes few of them.
//
// Limits: 16 TiB less one block; names of 255 bytes; symbolic links of 4,095 bytes; extended attributes of one block
// beside the inode; 65,000 names of one file; 4 million names in a directory.
import { Failure } from '../../../formats/errors.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Volume } from '../volume.ts';
import type { Census } from './census.ts';
import { BLOCK, Geometry, type Layout, layOut, leastBlocks, MOST_BLOCKS, mappedRanges } from './layout.ts';
import { numberInodes, placeBlocks } from './placement.ts';
import { type Identity, seedWords } from './superblock.ts';
import { takeCensus } from './survey.ts';
import { writeExt4 } from './write.ts';

export interface Ext4Options extends Identity {
  /** Bytes of the filesystem, or the least that leaves `reserve` bytes free (rounded up to 1 MiB). */
  readonly size: number | { readonly reserve: number };
  /** Inodes to have at least; without it, as many as the tree needs and an eighth more. */
  readonly inodes?: number;
}

/** A planned filesystem, and how full it is. */
export interface Ext4Volume extends Volume {
  /** Bytes that are free for files when written. */
  readonly free: number;
  /** Inodes in use. */
  readonly inodes: number;
}

const MIB = 1024 * 1024;

/**
 * Plans a filesystem of a tree. The tree is gone through once; of what it says only the bytes of files are read later.
 * Refuses with Failure('input', …): entries that do not fit into ext4, by name, and a size that is too small, by how
 * much.
 */
export function planExt4(tree: Tree, options: Ext4Options): Ext4Volume {
  checkIdentity(options);
  const census = takeCensus(tree, options.time, seedWords(options.hashSeed));
  const placed =
    typeof options.size === 'number'
      ? placeIn(options.size, census, options)
      : placeLeast(options.size.reserve, census, options);
  const { layout, end, size } = placed;
  const used = usedPlaces(census, layout);
  return {
    size,
    mapped: mappedRanges(layout.geometry, end),
    free: (layout.geometry.places - used) * BLOCK,
    inodes: placed.inodes,
    write: (output) => writeExt4({ census, layout, end, identity: options }, output),
  };
}

interface Placed {
  readonly layout: Layout;
  /** First place after the files. */
  readonly end: number;
  readonly size: number;
  /** Inodes in use. */
  readonly inodes: number;
}

function placeIn(size: number, census: Census, options: Ext4Options): Placed {
  if (size / BLOCK > MOST_BLOCKS)
    throw refusal(`a filesystem of ${size} bytes is too large`, '16 TiB is the most');
  const geometry = new Geometry(size);
  // Room for edits is given up before the tree is refused.
  for (const roomy of [true, false]) {
    const result = tryPlacing(geometry, census, options, roomy);
    if (typeof result === 'object') return { ...result, size };
  }
  const least = grow(size, BLOCK, 0, census, options, false).size;
  throw refusal(
    `the tree does not fit into an ext4 filesystem of ${size} bytes`,
    `${least - size} bytes more are needed`,
  );
}

/** Places a tree; a number says how many bytes are missing at least. */
function tryPlacing(
  geometry: Geometry,
  census: Census,
  options: Ext4Options,
  roomy: boolean,
): Omit<Placed, 'size'> | number {
  const lastInode = numberInodes(census, roomy) - 1;
  const wanted = options.inodes ?? (roomy ? rounded(lastInode) : lastInode);
  if (options.inodes !== undefined && lastInode > options.inodes) {
    if (roomy) return 0;
    const more = lastInode - options.inodes;
    throw refusal(`the tree does not fit into ${options.inodes} inodes`, `${more} more are needed`);
  }
  const layout = layOut(geometry, wanted);
  if (layout === undefined) return (leastBlocks(wanted) - geometry.blocks) * BLOCK;
  const end = placeBlocks(census, geometry, layout.data, roomy);
  if (end > geometry.places) return (end - geometry.places) * BLOCK;
  return { layout, end, inodes: countInodes(census) };
}

/** The least size with so many bytes free, a multiple of 1 MiB. */
function placeLeast(reserve: number, census: Census, options: Ext4Options): Placed {
  // Numbers of inodes do not depend on the size: where they leave no room for edits, no size will.
  const roomy = options.inodes === undefined || numberInodes(census, true) - 1 <= options.inodes;
  return grow(4 * MIB, MIB, reserve, census, options, roomy);
}

/** The least size from `start` on, in steps, that holds the tree and leaves so many bytes free. */
function grow(
  start: number,
  step: number,
  reserve: number,
  census: Census,
  options: Ext4Options,
  roomy: boolean,
): Placed {
  for (let size = start; ; ) {
    const geometry = new Geometry(size);
    const result = tryPlacing(geometry, census, options, roomy);
    const missing = typeof result === 'object' ? reserve - (geometry.places - result.end) * BLOCK : result;
    if (typeof result === 'object' && missing <= 0) return { ...result, size };
    // The end of a size may be of no use: counted from the last block that is.
    const wanted = Math.ceil((geometry.blocks * BLOCK + missing) / step);
    size = Math.max(wanted, Math.floor(size / step) + 1) * step;
    if (size / BLOCK > MOST_BLOCKS)
      throw refusal(`the tree needs an ext4 filesystem of ${size} bytes`, '16 TiB is the most');
  }
}

function usedPlaces(census: Census, layout: Layout): number {
  let used = layout.geometry.headBlocks + 2 * layout.geometry.groups;
  used += (layout.inodesPerGroup / 16) * layout.geometry.groups;
  for (let index = 0, { length } = census; index < length; index++) {
    if (census.owner(index) === index) used += census.blocks(index);
  }
  return used;
}

function countInodes(census: Census): number {
  let count = 0;
  for (let index = 0; index < census.length; index++) if (census.owner(index) === index) count++;
  return count;
}

function rounded(inodes: number): number {
  const step = 2 ** Math.max(4, Math.floor(Math.log2(inodes / 8)));
  return Math.ceil(inodes / step) * step;
}

function checkIdentity(identity: Identity): void {
  if (identity.uuid.length !== 16 || identity.hashSeed.length !== 16) {
    throw new Error('a UUID and a hash seed have 16 bytes each');
  }
  const label = Buffer.byteLength(identity.label);
  if (label > 16) {
    throw refusal(
      `the label ${identity.label} is too long for ext4`,
      `it has ${label} bytes, and 16 is the most`,
    );
  }
}

function refusal(what: string, why: string): Failure {
  return new Failure('input', { what, why });
}
