// Writes a planned filesystem, from its first byte to its last.
import { lengthOf } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import type { Output } from '../volume.ts';
import { writeBitmaps } from './bitmaps.ts';
import type { Census, Index } from './census.ts';
import { writeDirectory } from './directories.ts';
import { extentsOf, writeSingle, writeTree } from './extents.ts';
import { headsOf } from './groups.ts';
import { BLOCK_FIELD, encodeDevice, encodeInode, MOST_LINKS, XATTR_ROOM, XATTRS_AT } from './inodes.ts';
import { BLOCK, BLOCKS_PER_GROUP, INODE_SIZE, type Layout } from './layout.ts';
import type { Identity } from './superblock.ts';
import { placeXattrs, writeInBlock, writeInInode, type XattrPlacement } from './xattrs.ts';

/** All that is decided about a filesystem. */
export interface Ext4Plan {
  readonly census: Census;
  readonly layout: Layout;
  /** First place after the files. */
  readonly end: number;
  readonly identity: Identity;
}

/** Bytes of a file between two looks at whether others wait. */
const PIECE = 8 * 1024 * 1024;
const noXattrs: XattrPlacement = { inInode: [], inBlock: [] };

/** Writes in ascending order. */
export async function writeExt4(plan: Ext4Plan, output: Output): Promise<void> {
  const heads = headsOf(plan);
  const spliced = new Spliced(plan, heads, output);
  const batch = new Batch(spliced);
  try {
    batch.append({ at: 'memory', bytes: heads(0) }, 0, plan.layout.geometry.headBlocks * BLOCK);
    writeBitmaps(plan, batch);
    await writeInodes(plan, batch);
    await writeContents(plan, batch);
    batch.zeros(plan.end * BLOCK);
    batch.end();
    spliced.end();
  } finally {
    batch.close();
  }
}

/** Takes bytes by place, and writes the copies of the superblock where they lie between. */
class Spliced implements Output {
  readonly #plan: Ext4Plan;
  readonly #heads: (group: number) => Buffer;
  readonly #output: Output;
  #copies: readonly number[];

  constructor(plan: Ext4Plan, heads: (group: number) => Buffer, output: Output) {
    this.#plan = plan;
    this.#heads = heads;
    this.#output = output;
    this.#copies = plan.layout.geometry.copies;
  }

  write(at: number, bytes: Uint8Array): void {
    let done = 0;
    // Batches start and end where they like, runs are whole blocks: cut by bytes.
    const first = Math.floor(at / BLOCK);
    const last = Math.ceil((at + bytes.length) / BLOCK);
    for (const run of this.#plan.layout.geometry.runs(first, last - first)) {
      this.#copiesBefore(run.start);
      const start = run.start * BLOCK + (done === 0 ? at % BLOCK : 0);
      const length = Math.min(bytes.length - done, (run.start + run.count) * BLOCK - start);
      this.#output.write(start, bytes.subarray(done, done + length));
      done += length;
    }
  }

  end(): void {
    this.#copiesBefore(Number.POSITIVE_INFINITY);
  }

  #copiesBefore(block: number): void {
    for (let copy = this.#copies[0]; copy !== undefined && copy < block; copy = this.#copies[0]) {
      this.#output.write(copy * BLOCK, this.#heads(copy / BLOCKS_PER_GROUP));
      this.#copies = this.#copies.slice(1);
    }
  }
}

/** An inode, and the parts of it. */
interface InodeBytes {
  readonly all: DataView;
  readonly field: Buffer;
  readonly xattrs: Buffer;
}

async function writeInodes({ census, layout }: Ext4Plan, batch: Batch): Promise<void> {
  const bytes = Buffer.alloc(INODE_SIZE);
  const into: InodeBytes = {
    all: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    field: bytes.subarray(BLOCK_FIELD.at, BLOCK_FIELD.at + BLOCK_FIELD.length),
    xattrs: bytes.subarray(XATTRS_AT),
  };
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    const number = census.inode(index) - 1;
    const table = layout.tables[Math.floor(number / layout.inodesPerGroup)] ?? 0;
    batch.zeros(table * BLOCK + (number % layout.inodesPerGroup) * INODE_SIZE);
    bytes.fill(0);
    fillInode(census, layout, index, into);
    batch.room(INODE_SIZE).set(bytes);
    if (batch.tired) await batch.rest();
  }
}

function fillInode(census: Census, layout: Layout, index: Index, into: InodeBytes): void {
  const kind = census.kind(index);
  const content = census.content(index);
  const fast = kind === 'symlink' && content === 0;
  const mapped = kind === 'file' || kind === 'directory' || (kind === 'symlink' && !fast);
  const links = census.links(index);
  const xattrPlace = census.place(index) + content + census.treeBlocks(index);
  encodeInode(
    {
      kind,
      mode: census.mode(index),
      uid: census.uid(index),
      gid: census.gid(index),
      mtime: census.mtime(index),
      size: kind === 'directory' ? content * BLOCK : census.size(index),
      // One name says: more than can be counted.
      links: links > MOST_LINKS ? 1 : links,
      blocks: census.blocks(index),
      mapped,
      indexed: kind === 'directory' && content > 1,
      xattrBlock: census.hasXattrBlock(index) ? layout.geometry.block(xattrPlace) : 0,
    },
    into.all,
  );
  const { field } = into;
  if (fast) field.set(census.target(index));
  else if (mapped) writeExtents(census, layout, index, field);
  else if (kind === 'char' || kind === 'block') encodeDevice(census.device(index), field);
  writeInInode(xattrsOf(census, index).inInode, into.xattrs);
}

/** Writes the extent tree's root into `field` and gives its other blocks. */
function writeExtents(census: Census, { geometry }: Layout, index: Index, field: Buffer): Buffer[] {
  const content = census.content(index);
  const place = census.place(index);
  const count = census.treeBlocks(index);
  const runs = census.runs(index);
  const places = geometry.runs(place, content);
  const whole = places[0];
  if (runs.length <= 1 && places.length === 1 && whole !== undefined && writeSingle(runs[0], whole, field))
    return [];
  const blocks = Array.from({ length: count }, () => Buffer.alloc(BLOCK));
  const numbers = Array.from({ length: count }, (_, i) => geometry.block(place + content + i));
  writeTree(extentsOf(runs, places), field, blocks, numbers);
  return blocks;
}

async function writeContents({ census, layout }: Ext4Plan, batch: Batch): Promise<void> {
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index || census.blocks(index) === 0) continue;
    batch.zeros(census.place(index) * BLOCK);
    const kind = census.kind(index);
    if (kind === 'file') {
      if (!writeSmall(census, index, batch)) await writeFile(census, index, batch);
    } else if (kind === 'directory') writeNames(census, index, batch);
    else if (census.content(index) > 0) batch.room(BLOCK).set(census.target(index));
    if (census.treeBlocks(index) > 0) {
      for (const bytes of writeExtents(census, layout, index, Buffer.alloc(BLOCK_FIELD.length))) {
        batch.append({ at: 'memory', bytes }, 0, BLOCK);
      }
    }
    if (census.hasXattrBlock(index)) writeInBlock(xattrsOf(census, index).inBlock, batch.room(BLOCK));
    if (batch.tired) await batch.rest();
  }
}

/** Most files: one range of bytes from the start on. Waiting for each would cost more than all else about it. */
function writeSmall(census: Census, index: Index, batch: Batch): boolean {
  const segments = census.segments(index);
  const only = segments[0];
  const room = census.content(index) * BLOCK;
  if (segments.length !== 1 || only?.offset !== 0 || room > PIECE) return false;
  const end = batch.at + room;
  batch.append(only.bytes, 0, lengthOf(only.bytes));
  batch.zeros(end);
  return true;
}

async function writeFile(census: Census, index: Index, batch: Batch): Promise<void> {
  const segments = census.segments(index);
  let next = 0;
  for (const run of census.runs(index)) {
    // Of this file's byte 0, where this run of blocks is.
    const base = batch.at - run.logical * BLOCK;
    const end = batch.at + run.count * BLOCK;
    for (let segment = segments[next]; segment !== undefined; segment = segments[++next]) {
      if (base + segment.offset >= end) break;
      batch.zeros(base + segment.offset);
      const length = lengthOf(segment.bytes);
      for (let done = 0; done < length; ) {
        const part = Math.min(length - done, PIECE);
        batch.append(segment.bytes, done, part);
        done += part;
        if (batch.tired) await batch.rest();
      }
    }
    batch.zeros(end);
  }
}

function writeNames(census: Census, index: Index, batch: Batch): void {
  const { plan, names } = census.directory(index);
  if (typeof plan === 'string') throw new Error(plan);
  const parent = census.inode(census.parent(index));
  writeDirectory(plan, names, census.inode(index), parent, () => batch.room(BLOCK));
}

function xattrsOf(census: Census, index: Index): XattrPlacement {
  const xattrs = census.xattrs(index);
  if (xattrs === undefined) return noXattrs;
  const placed = placeXattrs(xattrs, XATTR_ROOM);
  if (typeof placed === 'string') throw new Error(placed);
  return placed;
}
