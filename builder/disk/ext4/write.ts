// Writes a planned filesystem, from its first byte to its last.
import { lengthOf } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import type { Output } from '../volume.ts';
import { writeBitmaps } from './bitmaps.ts';
import type { Census, Index } from './census.ts';
import { writeDirectory } from './directories.ts';
import { headsOf, usedBlocks } from './groups.ts';
import { BLOCK_FIELD } from './inodes.ts';
import { placedXattrs, writeExtents, writeInodes } from './inodetable.ts';
import { BLOCK, BLOCKS_PER_GROUP, type Layout } from './layout.ts';
import type { Identity } from './superblock.ts';
import { writeInBlock } from './xattrs.ts';

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

/** Writes in ascending order. */
export async function writeExt4(plan: Ext4Plan, output: Output): Promise<void> {
  const used = usedBlocks(plan);
  const heads = headsOf(plan, used);
  const spliced = new Spliced(plan, heads, output);
  const batch = new Batch(spliced);
  try {
    batch.append({ at: 'memory', bytes: heads(0) }, 0, plan.layout.geometry.headBlocks * BLOCK);
    writeBitmaps(plan, used, batch);
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
    const xattrs = census.hasXattrBlock(index) ? census.xattrs(index) : undefined;
    if (xattrs !== undefined) writeInBlock(placedXattrs(xattrs).inBlock, batch.room(BLOCK));
    if (batch.tired) await batch.rest();
  }
}

/** Most files: one range of bytes from the start on. Waiting for each would cost more than all else about it. */
function writeSmall(census: Census, index: Index, batch: Batch): boolean {
  const file = census.source(index);
  const room = census.content(index) * BLOCK;
  if (file === undefined || room > PIECE) return false;
  const end = batch.at + room;
  batch.appendFile(file, census.offset(index), census.size(index));
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
