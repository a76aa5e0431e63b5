// The first pass over a tree: what takes how much room, and everything that ext4 cannot hold.
import { Failure, type Problem } from '../../../formats/errors.ts';
import { type Entry, type EntrySource, lengthOf, nameToBytes, type Segment } from '../../tree/entry.ts';
import { ByteStrings, Records } from '../../tree/pages.ts';
import { type DirectoryPlan, type Name, planDirectory } from './directories.ts';
import type { LogicalRun } from './extents.ts';
import { EARLIEST, fileType, LATEST, LONGEST_FAST_LINK, MOST_LINKS, XATTR_ROOM } from './inodes.ts';
import { BLOCK } from './layout.ts';
import { placeXattrs } from './xattrs.ts';

/** Index of an entry in the order they come; 0 is the root directory. */
export type Index = number;

const PARENT = 0;
const NAME = 1;
const LENGTH_TYPE = 2;
const OWNER = 3;
const INODE = 4;
const LINKS = 5;
const CONTENT = 6;
const TREE_XATTR = 7;
const PLACE = 8;
const CHILD = 9;
const NEXT = 10;
const HASH = 11;

const MOST_PROBLEMS = 20;
const LOST_AND_FOUND = 'lost+found';
const BUDGET = 32 * 1024 * 1024;
/** Blocks of a file are counted in 32 bits. */
const LARGEST_FILE = (0xffff_ffff - 1) * BLOCK;

/**
 * What is known of each entry: its name and parent, then what its inode takes, then where that is. 64 bytes an entry
 * and its name; beyond a budget they are kept in a temporary file.
 */
export class Census {
  readonly #records = new Records(16, BUDGET * 0.75);
  readonly #names = new ByteStrings(BUDGET * 0.25);
  readonly #runs = new Map<Index, readonly LogicalRun[]>();
  readonly #seed: readonly number[];

  constructor(seed: readonly number[]) {
    this.#seed = seed;
  }

  get length(): number {
    return this.#records.length;
  }

  add(parent: Index, name: Uint8Array, type: number, hash: number): Index {
    const index = this.#records.add();
    this.#records.set(index, PARENT, parent);
    this.#records.set(index, NAME, this.#names.add(name, name.length));
    this.#records.set(index, LENGTH_TYPE, name.length | (type << 16));
    this.#records.set(index, OWNER, index);
    this.#records.set(index, HASH, hash);
    return index;
  }

  parent(index: Index): Index {
    return this.#records.get(index, PARENT);
  }

  name(index: Index): Buffer {
    return this.#names.at(this.#records.get(index, NAME), this.#records.get(index, LENGTH_TYPE) & 0xffff);
  }

  type(index: Index): number {
    return this.#records.get(index, LENGTH_TYPE) >>> 16;
  }

  /** A number made of the path alone. */
  hash(index: Index): number {
    return this.#records.get(index, HASH);
  }

  /** The entry whose inode this one names: itself, unless it is a hard link. */
  owner(index: Index): Index {
    return this.#records.get(index, OWNER);
  }

  links(index: Index): number {
    return this.#records.get(index, LINKS);
  }

  inode(index: Index): number {
    return this.#records.get(this.owner(index), INODE);
  }

  setInode(index: Index, inode: number): void {
    this.#records.set(index, INODE, inode);
  }

  /** Blocks of what is in a file, directory or long symbolic link. */
  content(index: Index): number {
    return this.#records.get(index, CONTENT);
  }

  hasXattrBlock(index: Index): boolean {
    return this.#records.get(index, TREE_XATTR) % 2 === 1;
  }

  /** Blocks of the extent tree outside of the inode: known once the place is. */
  treeBlocks(index: Index): number {
    return this.#records.get(index, TREE_XATTR) >>> 1;
  }

  /** All blocks of an inode: content, then extent tree, then extended attributes. */
  blocks(index: Index): number {
    return this.content(index) + this.treeBlocks(index) + (this.hasXattrBlock(index) ? 1 : 0);
  }

  place(index: Index): number {
    return this.#records.get(index, PLACE);
  }

  setPlace(index: Index, place: number, treeBlocks: number): void {
    this.#records.set(index, PLACE, place);
    this.#records.set(index, TREE_XATTR, treeBlocks * 2 + (this.hasXattrBlock(index) ? 1 : 0));
  }

  setContent(index: Index, blocks: number, xattrBlock: boolean, runs?: readonly LogicalRun[]): void {
    this.#records.set(index, CONTENT, blocks);
    this.#records.set(index, TREE_XATTR, xattrBlock ? 1 : 0);
    if (runs !== undefined) this.#runs.set(index, runs);
  }

  /** Which blocks of a file hold data. */
  runs(index: Index): readonly LogicalRun[] {
    const blocks = this.content(index);
    return this.#runs.get(index) ?? (blocks === 0 ? [] : [{ logical: 0, count: blocks }]);
  }

  /** Makes this entry another name of what `owner` names. */
  link(index: Index, owner: Index): void {
    this.#records.set(index, OWNER, owner);
    this.#records.set(
      index,
      LENGTH_TYPE,
      (this.#records.get(index, LENGTH_TYPE) & 0xffff) | (this.type(owner) << 16),
    );
  }

  /** Links children to their parents and counts the names of every inode. */
  gather(): void {
    for (let index = this.length - 1; index > 0; index--) {
      const parent = this.parent(index);
      this.#records.set(index, NEXT, this.#records.get(parent, CHILD));
      this.#records.set(parent, CHILD, index);
      const owner = this.owner(index);
      this.#records.set(owner, LINKS, this.links(owner) + 1);
      if (this.type(index) === fileType.directory) {
        this.#records.set(index, LINKS, this.links(index) + 1);
        this.#records.set(parent, LINKS, this.links(parent) + 1);
      }
    }
    // The root directory is its own parent.
    this.#records.set(0, LINKS, this.links(0) + 2);
  }

  *children(index: Index): Generator<Index> {
    for (let child = this.#records.get(index, CHILD); child !== 0; child = this.#records.get(child, NEXT))
      yield child;
  }

  directory(index: Index): { plan: DirectoryPlan | string; names: Name[] } {
    const names: Name[] = [];
    for (const child of this.children(index)) {
      names.push({ name: this.name(child), inode: this.inode(child), type: this.type(child) });
    }
    return {
      plan: planDirectory(
        names.map(({ name }) => name),
        this.#seed,
      ),
      names,
    };
  }

  path(index: Index): string {
    const parts: string[] = [];
    for (let at = index; at !== 0; at = this.parent(at)) parts.push(this.name(at).toString('utf8'));
    return `/${parts.reverse().join('/')}`;
  }

  close(): void {
    this.#records.close();
    this.#names.close();
  }
}

/** The entries of a tree with lost+found, which e2fsck wants, right after the root directory. */
export function* withLostAndFound(source: EntrySource, time: number): Generator<Entry> {
  for (const entry of source.entries()) {
    if (entry.path === LOST_AND_FOUND && entry.kind === 'directory') continue;
    yield entry;
    if (entry.path !== '') continue;
    yield { path: LOST_AND_FOUND, kind: 'directory', mode: 0o700, uid: 0, gid: 0, mtime: time };
  }
}

/** Counts a tree. Refuses with Failure('input', …), naming up to 20 entries that ext4 cannot hold. */
export function takeCensus(source: EntrySource, time: number, seed: readonly number[]): Census {
  const census = new Census(seed);
  const problems: Problem[] = [];
  const refuse = (path: string, why: string): void => {
    problems.push({ what: `/${path} does not fit into ext4`, why });
    if (problems.length === MOST_PROBLEMS) throw new Failure('input', problems);
  };
  const ways: { prefix: string; index: Index; hash: number }[] = [];
  const links: { index: Index; target: string }[] = [];
  for (const entry of withLostAndFound(source, time)) {
    let way = ways.at(-1);
    while (way !== undefined && !entry.path.startsWith(way.prefix)) {
      ways.pop();
      way = ways.at(-1);
    }
    if ((way === undefined) !== (entry.path === '')) throw new Error(`${entry.path} comes before the root`);
    const prefix = way?.prefix ?? '';
    const text = entry.path.slice(prefix.length);
    if (text.includes('/')) throw new Error(`${entry.path} comes before its directory`);
    const name = nameToBytes(text);
    if (name.length > 255) refuse(entry.path, `its name has ${name.length} bytes, and 255 is the most`);
    const hash = hashOf(way?.hash ?? 0x811c9dc5, name);
    const type = entry.kind === 'hardlink' ? 0 : fileType[entry.kind];
    const index = census.add(way?.index ?? 0, name, type, hash);
    if (entry.kind === 'hardlink') links.push({ index, target: entry.target });
    else count(census, index, entry, refuse);
    if (entry.kind === 'directory')
      ways.push({ prefix: entry.path === '' ? '' : `${entry.path}/`, index, hash });
  }
  if (census.length === 0) throw new Error('a tree has no root directory');
  resolveLinks(census, links);
  census.gather();
  countDirectories(census, refuse);
  if (problems.length > 0) throw new Failure('input', problems);
  return census;
}

function count(
  census: Census,
  index: Index,
  entry: Exclude<Entry, { kind: 'hardlink' }>,
  refuse: (path: string, why: string) => void,
): void {
  if (entry.mtime < EARLIEST || entry.mtime > LATEST)
    refuse(entry.path, `its time ${entry.mtime} is out of range`);
  if (entry.uid > 0xffff_fffe || entry.gid > 0xffff_fffe)
    refuse(entry.path, 'the number of its owner or group is too large');
  let xattrBlock = false;
  if (entry.xattrs !== undefined) {
    const placed = placeXattrs(entry.xattrs, XATTR_ROOM);
    if (typeof placed === 'string') refuse(entry.path, placed);
    else xattrBlock = placed.inBlock.length > 0;
  }
  let blocks = 0;
  let runs: LogicalRun[] | undefined;
  if (entry.kind === 'file') {
    if (entry.size > LARGEST_FILE)
      refuse(entry.path, `its size is ${entry.size} bytes, and ${LARGEST_FILE} is the most`);
    const only = entry.segments[0];
    if (entry.segments.length === 1 && only?.offset === 0) blocks = Math.ceil(lengthOf(only.bytes) / BLOCK);
    else {
      runs = runsOf(entry.segments, entry.path);
      blocks = runs.reduce((sum, run) => sum + run.count, 0);
      if (runs.length === 0 || (runs.length === 1 && runs[0]?.logical === 0)) runs = undefined;
    }
  } else if (entry.kind === 'symlink') {
    const length = nameToBytes(entry.target).length;
    if (length > BLOCK - 1)
      refuse(entry.path, `its target has ${length} bytes, and ${BLOCK - 1} is the most`);
    if (length === 0) refuse(entry.path, 'its target is empty');
    blocks = length > LONGEST_FAST_LINK ? 1 : 0;
  } else if (entry.kind === 'char' || entry.kind === 'block') {
    if (entry.major > 0xfff || entry.minor > 0xfffff) {
      refuse(entry.path, `the device number ${entry.major}:${entry.minor} is too large`);
    }
  }
  census.setContent(index, blocks, xattrBlock, runs);
}

/** The blocks that hold something of a file with holes. */
function runsOf(segments: readonly Segment[], path: string): LogicalRun[] {
  const runs: { logical: number; count: number }[] = [];
  let reached = 0;
  for (const { offset, bytes } of segments) {
    const length = lengthOf(bytes);
    if (offset < reached) throw new Error(`the segments of ${path} are not in order`);
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

/** Finds the entries that hard links are other names of. */
function resolveLinks(census: Census, links: readonly { index: Index; target: string }[]): void {
  if (links.length === 0) return;
  const wanted = new Map<number, string[]>();
  for (const { target } of links) {
    const hash = pathHash(target);
    const targets = wanted.get(hash) ?? [];
    if (!targets.includes(target)) wanted.set(hash, [...targets, target]);
  }
  const found = new Map<string, Index>();
  for (let index = 0; index < census.length; index++) {
    for (const target of wanted.get(census.hash(index)) ?? []) {
      if (isPath(census, index, target)) found.set(target, index);
    }
  }
  for (const { index, target } of links) {
    const owner = found.get(target);
    if (owner === undefined || owner >= index) throw new Error(`the hard link to ${target} comes before it`);
    census.link(index, census.owner(owner));
  }
}

function isPath(census: Census, index: Index, path: string): boolean {
  let at = index;
  for (const part of path.split('/').reverse()) {
    if (at === 0 || !census.name(at).equals(nameToBytes(part))) return false;
    at = census.parent(at);
  }
  return at === 0;
}

function countDirectories(census: Census, refuse: (path: string, why: string) => void): void {
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    if (census.type(index) === fileType.directory) {
      const { plan } = census.directory(index);
      if (typeof plan === 'string') refuse(census.path(index).slice(1), plan);
      else census.setContent(index, plan.blocks, census.hasXattrBlock(index));
    } else if (census.links(index) > MOST_LINKS) {
      refuse(
        census.path(index).slice(1),
        `it has ${census.links(index)} names, and ${MOST_LINKS} is the most`,
      );
    }
  }
}

/** FNV-1a of a name, going on from that of its directory. */
function hashOf(start: number, name: Uint8Array): number {
  let hash = Math.imul(start ^ 0x2f, 0x01000193);
  for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function pathHash(path: string): number {
  // As the walk does it: the root directory is a name of no bytes.
  let hash = hashOf(0x811c9dc5, Buffer.alloc(0));
  for (const part of path.split('/')) hash = hashOf(hash, nameToBytes(part));
  return hash;
}
