// Block groups: what is in use in each, and their descriptors behind the superblock.
import { BLOCK, BLOCKS_PER_GROUP, DESCRIPTOR_SIZE, INODE_SIZE, type Layout, type Run } from './layout.ts';
import { encodeSuperblock, SUPERBLOCK_AT } from './superblock.ts';
import type { Ext4Plan } from './write.ts';

interface GroupUse {
  freeBlocks: number;
  freeInodes: number;
  directories: number;
}

/** Superblock and descriptors as they are at the head of a group. */
export function headsOf(plan: Ext4Plan, used: readonly Used[]): (group: number) => Buffer {
  const { geometry, inodesPerGroup } = plan.layout;
  const use = usePerGroup(plan, used);
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

/** Blocks of a group that are in use. */
export interface Used {
  readonly group: number;
  readonly from: number;
  readonly count: number;
}

/** Blocks in use, ascending, but for the copies of the superblock. */
export function usedBlocks({ layout, census }: Ext4Plan): Used[] {
  const { geometry, inodesPerGroup } = layout;
  const used: Used[] = [];
  const add = (start: number, end: number): void => {
    for (const run of geometry.runs(start, end - start)) addByGroup(used, run);
  };
  let start = 0;
  let end = layout.bitmaps + 2 * geometry.groups;
  for (const table of layout.tables) {
    if (table !== end) {
      add(start, end);
      start = table;
    }
    end = table + (inodesPerGroup * INODE_SIZE) / BLOCK;
  }
  const { length } = census;
  for (let index = 0; index < length; index++) {
    if (census.owner(index) !== index) continue;
    const blocks = census.blocks(index);
    if (blocks === 0) continue;
    const place = census.place(index);
    if (place !== end) {
      add(start, end);
      start = place;
    }
    end = place + blocks;
  }
  add(start, end);
  return used;
}

function addByGroup(used: Used[], run: Run): void {
  for (let start = run.start, left = run.count; left > 0; ) {
    const from = start % BLOCKS_PER_GROUP;
    const count = Math.min(left, BLOCKS_PER_GROUP - from);
    used.push({ group: Math.floor(start / BLOCKS_PER_GROUP), from, count });
    start += count;
    left -= count;
  }
}

function usePerGroup({ census, layout }: Ext4Plan, used: readonly Used[]): GroupUse[] {
  const { geometry, inodesPerGroup } = layout;
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
  for (const { group, count } of used) at(group).freeBlocks -= count;
  // The filesystem's own inodes come first; the root directory, entry 0, is one of them.
  at(0).freeInodes -= 10;
  at(0).directories++;
  const { length } = census;
  for (let index = 1; index < length; index++) {
    if (census.owner(index) !== index) continue;
    const group = at(Math.floor((census.inode(index) - 1) / inodesPerGroup));
    group.freeInodes--;
    if (census.kind(index) === 'directory') group.directories++;
  }
  return use;
}

function encodeDescriptors(layout: Layout, use: readonly GroupUse[]): Buffer {
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
