// Writes a planned filesystem, from its first byte to its last.
import type { Entry, EntrySource } from '../../tree/entry.ts';
import { lengthOf, nameToBytes } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import type { Output } from '../volume.ts';
import { type Census, type Index, withLostAndFound } from './census.ts';
import { writeDirectory } from './directories.ts';
import { extentsOf, writeTree } from './extents.ts';
import { byGroup, encodeDescriptors, type GroupUse, setBits } from './groups.ts';
import {
  BLOCK_FIELD,
  encodeDevice,
  encodeInode,
  fileType,
  MOST_LINKS,
  XATTR_ROOM,
  XATTRS_AT,
} from './inodes.ts';
import { BLOCK, BLOCKS_PER_GROUP, INODE_SIZE, type Layout, ROOT_INODE, type Run } from './layout.ts';
import { encodeSuperblock, type Identity, SUPERBLOCK_AT } from './superblock.ts';
import { placeXattrs, writeInBlock, writeInInode, type XattrPlacement } from './xattrs.ts';

/** All that is decided about a filesystem. */
export interface Ext4Plan {
  readonly tree: EntrySource;
  readonly census: Census;
  readonly layout: Layout;
  /** First place after the files. */
  readonly end: number;
  readonly identity: Identity;
}

type Inoded = Exclude<Entry, { kind: 'hardlink' }>;
const noXattrs: XattrPlacement = { inInode: [], inBlock: [] };

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

/** Superblock and descriptors as they are at the head of a group. */
function headsOf(plan: Ext4Plan): (group: number) => Buffer {
  const { geometry, inodesPerGroup } = plan.layout;
  const use = usePerGroup(plan);
  const descriptors = encodeDescriptors(plan.layout, use);
  const counts = {
    blocks: geometry.blocks,
    inodes: inodesPerGroup * geometry.groups,
    inodesPerGroup,
    freeBlocks: use.reduce((sum, group) => sum + group.freeBlocks, 0),
    freeInodes: use.reduce((sum, group) => sum + group.freeInodes, 0),
  };
  return (group) => {
    const head = Buffer.alloc(geometry.headBlocks * BLOCK);
    head.set(encodeSuperblock(plan.identity, counts, group), group === 0 ? SUPERBLOCK_AT : 0);
    head.set(descriptors, BLOCK);
    return head;
  };
}

/** Blocks in use, ascending, but for the copies of the superblock. */
function* usedRuns({ layout, census }: Ext4Plan): Generator<Run> {
  const { geometry } = layout;
  yield* geometry.runs(0, geometry.headBlocks + 2 * geometry.groups);
  for (const table of layout.tables)
    yield* geometry.runs(table, (layout.inodesPerGroup * INODE_SIZE) / BLOCK);
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) === index) yield* geometry.runs(census.place(index), census.blocks(index));
  }
}

function usePerGroup(plan: Ext4Plan): GroupUse[] {
  const { geometry, inodesPerGroup } = plan.layout;
  const use = Array.from({ length: geometry.groups }, (_, group) => ({
    freeBlocks: Math.min(BLOCKS_PER_GROUP, geometry.blocks - group * BLOCKS_PER_GROUP),
    freeInodes: inodesPerGroup,
    directories: 0,
  }));
  const at = (group: number): GroupUse => {
    const found = use[group];
    if (found === undefined) throw new Error(`there is no group ${group}`);
    return found;
  };
  for (const copy of geometry.copies) at(copy / BLOCKS_PER_GROUP).freeBlocks -= geometry.headBlocks;
  for (const { group, count } of byGroup(usedRuns(plan))) at(group).freeBlocks -= count;
  for (const inode of usedInodes(plan)) {
    const group = at(Math.floor((inode.number - 1) / inodesPerGroup));
    group.freeInodes--;
    if (inode.directory) group.directories++;
  }
  return use;
}

function* usedInodes({ census }: Ext4Plan): Generator<{ number: number; directory: boolean }> {
  // The filesystem's own come first; the root directory is one of them.
  for (let number = 1; number <= 10; number++) yield { number, directory: number === ROOT_INODE };
  for (let index = 1; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    yield { number: census.inode(index), directory: census.type(index) === fileType.directory };
  }
}

/** The bitmaps are streams of bits over all groups, written as the blocks and inodes in use come by. */
function writeBitmaps(plan: Ext4Plan, batch: Batch): void {
  const { geometry, inodesPerGroup } = plan.layout;
  const copies = new Set(geometry.copies.map((copy) => copy / BLOCKS_PER_GROUP));
  const finish = (bitmap: Buffer, group: number): void => {
    if (copies.has(group)) setBits(bitmap, 0, geometry.headBlocks);
    const blocks = Math.min(BLOCKS_PER_GROUP, geometry.blocks - group * BLOCKS_PER_GROUP);
    setBits(bitmap, blocks, BLOCKS_PER_GROUP - blocks);
  };
  let group = 0;
  let bitmap = Buffer.alloc(BLOCK);
  const next = (end: (bitmap: Buffer, group: number) => void): void => {
    end(bitmap, group);
    batch.append({ at: 'memory', bytes: bitmap }, 0, BLOCK);
    group++;
    bitmap = Buffer.alloc(BLOCK);
  };
  for (const used of byGroup(usedRuns(plan))) {
    while (group < used.group) next(finish);
    setBits(bitmap, used.from, used.count);
  }
  while (group < geometry.groups) next(finish);
  group = 0;
  const pad = (inodes: Buffer): void => setBits(inodes, inodesPerGroup, 8 * BLOCK - inodesPerGroup);
  for (const { number } of usedInodes(plan)) {
    while (group < Math.floor((number - 1) / inodesPerGroup)) next(pad);
    setBits(bitmap, (number - 1) % inodesPerGroup, 1);
  }
  while (group < geometry.groups) next(pad);
}

async function writeInodes(plan: Ext4Plan, batch: Batch): Promise<void> {
  const { census, layout } = plan;
  let index = 0;
  const all = Buffer.alloc(INODE_SIZE);
  const placeOf = (number: number): number => {
    const table = layout.tables[Math.floor((number - 1) / layout.inodesPerGroup)] ?? 0;
    return table * BLOCK + ((number - 1) % layout.inodesPerGroup) * INODE_SIZE;
  };
  for (const entry of withLostAndFound(plan.tree, plan.identity.time)) {
    const self = index++;
    if (entry.kind === 'hardlink') continue;
    batch.zeros(placeOf(census.inode(self)));
    all.fill(0);
    fillInode(plan, self, entry, all);
    batch.append({ at: 'memory', bytes: all }, 0, INODE_SIZE);
    if (batch.tired) await batch.rest();
  }
  if (index !== census.length) throw new Error('a tree changed between planning and writing');
}

function fillInode({ census, layout }: Ext4Plan, index: Index, entry: Inoded, into: Buffer): void {
  const { geometry } = layout;
  const content = census.content(index);
  const treePlace = census.place(index) + content;
  const xattrs = xattrsOf(entry);
  const fast = entry.kind === 'symlink' && content === 0;
  const special =
    entry.kind === 'char' || entry.kind === 'block' || entry.kind === 'fifo' || entry.kind === 'socket';
  const links = census.links(index);
  encodeInode(
    {
      kind: entry.kind,
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtime: entry.mtime,
      size: sizeOf(entry, content),
      // One name says: more than can be counted.
      links: links > MOST_LINKS ? 1 : links,
      blocks: census.blocks(index),
      mapped: !fast && !special,
      indexed: entry.kind === 'directory' && content > 1,
      xattrBlock: census.hasXattrBlock(index) ? geometry.block(treePlace + census.treeBlocks(index)) : 0,
    },
    into,
  );
  const field = into.subarray(BLOCK_FIELD.at, BLOCK_FIELD.at + BLOCK_FIELD.length);
  if (fast) field.set(nameToBytes(entry.target));
  else if (entry.kind === 'char' || entry.kind === 'block') encodeDevice(entry.major, entry.minor, field);
  else if (!special) writeExtents(index, census, layout, field);
  writeInInode(xattrs.inInode, into.subarray(XATTRS_AT));
}

/** Writes the extent tree's root into `field` and gives its other blocks. */
function writeExtents(index: Index, census: Census, layout: Layout, field: Buffer): Buffer[] {
  const content = census.content(index);
  const place = census.place(index);
  const count = census.treeBlocks(index);
  const blocks = Array.from({ length: count }, () => Buffer.alloc(BLOCK));
  const numbers = Array.from({ length: count }, (_, i) => layout.geometry.block(place + content + i));
  writeTree(extentsOf(census.runs(index), layout.geometry.runs(place, content)), field, blocks, numbers);
  return blocks;
}

async function writeContents(plan: Ext4Plan, batch: Batch): Promise<void> {
  const { census } = plan;
  let index = 0;
  for (const entry of withLostAndFound(plan.tree, plan.identity.time)) {
    const self = index++;
    if (entry.kind === 'hardlink' || census.blocks(self) === 0) continue;
    batch.zeros(census.place(self) * BLOCK);
    if (entry.kind === 'file') await writeFile(plan, self, entry, batch);
    else if (entry.kind === 'symlink' && census.content(self) > 0)
      batch.room(BLOCK).set(nameToBytes(entry.target));
    else if (entry.kind === 'directory') writeNames(plan, self, batch);
    if (census.treeBlocks(self) > 0) {
      const blocks = writeExtents(self, census, plan.layout, Buffer.alloc(BLOCK_FIELD.length));
      for (const bytes of blocks) batch.append({ at: 'memory', bytes }, 0, BLOCK);
    }
    if (census.hasXattrBlock(self)) writeInBlock(xattrsOf(entry).inBlock, batch.room(BLOCK));
    if (batch.tired) await batch.rest();
  }
}

async function writeFile(
  { census }: Ext4Plan,
  index: Index,
  entry: Entry & { kind: 'file' },
  batch: Batch,
): Promise<void> {
  const segments = entry.segments[Symbol.iterator]();
  let segment = segments.next();
  for (const run of census.runs(index)) {
    // Of this file's byte 0, where this run of blocks is.
    const base = batch.at - run.logical * BLOCK;
    const end = batch.at + run.count * BLOCK;
    while (!segment.done && base + segment.value.offset < end) {
      const { offset, bytes } = segment.value;
      const length = lengthOf(bytes);
      batch.zeros(base + offset);
      for (let done = 0; done < length; ) {
        const part = Math.min(length - done, 8 * 1024 * 1024);
        batch.append(bytes, done, part);
        done += part;
        if (batch.tired) await batch.rest();
      }
      segment = segments.next();
    }
    batch.zeros(end);
  }
}

function writeNames({ census }: Ext4Plan, index: Index, batch: Batch): void {
  const { plan, names } = census.directory(index);
  if (typeof plan === 'string') throw new Error(plan);
  writeDirectory(plan, names, census.inode(index), census.inode(census.parent(index)), () =>
    batch.room(BLOCK),
  );
}

function xattrsOf(entry: Inoded): XattrPlacement {
  if (entry.xattrs === undefined) return noXattrs;
  const placed = placeXattrs(entry.xattrs, XATTR_ROOM);
  if (typeof placed === 'string') throw new Error(placed);
  return placed;
}

function sizeOf(entry: Inoded, content: number): number {
  if (entry.kind === 'file') return entry.size;
  if (entry.kind === 'directory') return content * BLOCK;
  return entry.kind === 'symlink' ? nameToBytes(entry.target).length : 0;
}
