// The inode tables: an inode for each entry that is not a further name of another.
import type { Xattrs } from '../../tree/entry.ts';
import type { Batch } from '../batch.ts';
import type { Census, Index } from './census.ts';
import { extentsOf, isLong, writeSingle, writeTree } from './extents.ts';
import {
  BLOCK_FIELD,
  encodeDevice,
  encodeInode,
  type Inode,
  type InodeKind,
  MOST_LINKS,
  XATTR_ROOM,
  XATTRS_AT,
} from './inodes.ts';
import { BLOCK, INODE_SIZE, type Layout } from './layout.ts';
import type { Ext4Plan } from './write.ts';
import { placeXattrs, writeInInode, type XattrPlacement } from './xattrs.ts';

/** Writes the inode tables of all groups. */
export async function writeInodes({ census, layout }: Ext4Plan, batch: Batch): Promise<void> {
  const inode: Inode = {
    kind: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtime: 0,
    size: 0,
    links: 0,
    blocks: 0,
    mapped: false,
    indexed: false,
    xattrBlock: 0,
  };
  const { length } = census;
  for (let index = 0; index < length; index++) {
    if (census.owner(index) !== index) continue;
    const number = census.inode(index) - 1;
    const table = layout.tables[Math.floor(number / layout.inodesPerGroup)] ?? 0;
    batch.zeros(table * BLOCK + (number % layout.inodesPerGroup) * INODE_SIZE);
    const start = batch.reserve(INODE_SIZE);
    fillInode(census, layout, index, inode);
    encodeInode(inode, batch.view, start);
    writeField(census, layout, index, batch, start);
    const xattrs = census.xattrs(index);
    if (xattrs !== undefined) {
      const room = batch.bytes.subarray(start + XATTRS_AT, start + INODE_SIZE);
      writeInInode(placedXattrs(xattrs).inInode, room);
    }
    if (batch.tired) await batch.rest();
  }
}

function fillInode(census: Census, layout: Layout, index: Index, inode: Inode): void {
  const kind = census.kind(index);
  const content = census.content(index);
  const links = census.links(index);
  inode.kind = kind;
  inode.mode = census.mode(index);
  inode.uid = census.uid(index);
  inode.gid = census.gid(index);
  inode.mtime = census.mtime(index);
  inode.size = kind === 'directory' ? content * BLOCK : census.size(index);
  // One name says: more than can be counted.
  inode.links = links > MOST_LINKS ? 1 : links;
  inode.blocks = census.blocks(index);
  inode.mapped = isMapped(kind, content);
  inode.indexed = kind === 'directory' && content > 1;
  inode.xattrBlock = census.hasXattrBlock(index)
    ? layout.geometry.block(census.place(index) + content + census.treeBlocks(index))
    : 0;
}

/** Whether an inode has extents: a short symbolic link is in it. */
function isMapped(kind: InodeKind, content: number): boolean {
  return kind === 'file' || kind === 'directory' || (kind === 'symlink' && content > 0);
}

/** Writes what depends on the kind of an inode: its extents, target or device. */
function writeField(census: Census, layout: Layout, index: Index, batch: Batch, start: number): void {
  const kind = census.kind(index);
  const content = census.content(index);
  const at = start + BLOCK_FIELD.at;
  if (isMapped(kind, content)) {
    if (isSingle(census, layout, index)) {
      writeSingle(batch.view, at, content, layout.geometry.block(census.place(index)));
    } else writeExtents(census, layout, index, batch.bytes.subarray(at, at + BLOCK_FIELD.length));
  } else if (kind === 'symlink') batch.bytes.set(census.target(index), at);
  else if (kind === 'char' || kind === 'block') {
    encodeDevice(census.device(index), batch.bytes.subarray(at, at + BLOCK_FIELD.length));
  }
}

/** Most files: empty, or in one piece on the disk. */
function isSingle(census: Census, { geometry }: Layout, index: Index): boolean {
  const content = census.content(index);
  if (content === 0) return true;
  return !census.hasHoles(index) && !isLong(content) && geometry.isUnbroken(census.place(index), content);
}

/** Writes the extent tree's root into `field` and gives its other blocks. */
export function writeExtents(census: Census, { geometry }: Layout, index: Index, field: Buffer): Buffer[] {
  const content = census.content(index);
  const place = census.place(index);
  const count = census.treeBlocks(index);
  const blocks = Array.from({ length: count }, () => Buffer.alloc(BLOCK));
  const numbers = Array.from({ length: count }, (_, i) => geometry.block(place + content + i));
  writeTree(extentsOf(census.runs(index), geometry.runs(place, content)), field, blocks, numbers);
  return blocks;
}

/** Where attributes go that the census has accepted. */
export function placedXattrs(xattrs: Xattrs): XattrPlacement {
  const result = placeXattrs(xattrs, XATTR_ROOM);
  if (typeof result === 'string') throw new Error(result);
  return result;
}
