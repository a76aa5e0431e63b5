// What is known of each entry: its name and parent, what its inode says, then which number and blocks it has.
import { Details, FileNumbers } from '../../tree/details.ts';
import type { Segment, Xattrs } from '../../tree/entry.ts';
import type { Facts } from '../../tree/inodes.ts';
import { ByteStrings, Records, setLong } from '../../tree/pages.ts';
import { type DirectoryPlan, DirectoryPlans } from './directories.ts';
import { type LogicalRun, runsOf } from './extents.ts';
import { hashName } from './hash.ts';
import { fileType, type InodeKind } from './inodes.ts';
import type { Names } from './names.ts';

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
const MODE = 12;
const UID = 13;
const GID = 14;
const MTIME = 15;
const SIZE = 17;
const SOURCE = 19;
const OFFSET = 20;
const XATTRS = 22;
const HOLES = 23;

/** In place of the number of a source file: its segments are among the details. */
const PIECES = 0xffff_ffff;
const BUDGET = 24 * 1024 * 1024;

/** Inode kinds by file type code. */
const kinds = (Object.keys(fileType) as InodeKind[]).reduce<InodeKind[]>((list, kind) => {
  list[fileType[kind]] = kind;
  return list;
}, []);

/** 128 bytes an entry and its name; beyond a budget they are kept in a temporary file. */
export class Census {
  readonly #records = new Records(32, BUDGET * 0.625);
  readonly #strings = new ByteStrings(BUDGET * 0.25);
  readonly #files = new FileNumbers();
  readonly #details = new Details(BUDGET * 0.125, this.#files);
  readonly #plans: DirectoryPlans;

  constructor(seed: readonly number[]) {
    this.#plans = new DirectoryPlans(seed);
  }

  get length(): number {
    return this.#records.length;
  }

  close(): void {
    this.#records.close();
    this.#strings.close();
    this.#details.close();
  }

  /** Adds a name, `length` bytes from `from` on; `hash` is a number made of its path alone. */
  add(parent: Index, name: Uint8Array, from: number, length: number, kind: InodeKind, hash: number): Index {
    const index = this.#records.add();
    const page = this.#records.page(index);
    const at = this.#records.startOf(index);
    page[at + PARENT] = parent;
    page[at + NAME] = this.#strings.add(name, length, from);
    page[at + LENGTH_TYPE] = length | (fileType[kind] << 16);
    page[at + OWNER] = index;
    page[at + HASH] = hash;
    return index;
  }

  /** Keeps what an inode says. */
  describe(index: Index, facts: Facts): void {
    const page = this.#records.page(index);
    const at = this.#records.startOf(index);
    page[at + MODE] = facts.mode;
    page[at + UID] = facts.uid;
    page[at + GID] = facts.gid;
    setLong(page, at + MTIME, facts.mtime);
    if (facts.xattrs !== undefined) page[at + XATTRS] = this.#details.addXattrs(facts.xattrs);
    if (facts.kind === 'file') {
      const { segments } = facts;
      setLong(page, at + SIZE, facts.size);
      page[at + SOURCE] = segments === undefined ? this.#files.number(facts.file) : PIECES;
      setLong(page, at + OFFSET, segments === undefined ? facts.offset : this.#details.addSegments(segments));
    } else if (facts.kind === 'symlink') {
      setLong(page, at + SIZE, facts.size);
      setLong(page, at + OFFSET, this.#strings.add(facts.page, facts.size, facts.offset));
    } else if (facts.kind === 'char' || facts.kind === 'block') {
      page[at + OFFSET] = facts.major;
      page[at + OFFSET + 1] = facts.minor;
    }
  }

  parent(index: Index): Index {
    return this.#records.get(index, PARENT);
  }

  name(index: Index): Buffer {
    return this.#strings.at(this.#records.get(index, NAME), this.#records.get(index, LENGTH_TYPE) & 0xffff);
  }

  path(index: Index): string {
    const parts: string[] = [];
    for (let at = index; at !== 0; at = this.parent(at)) parts.push(this.name(at).toString('utf8'));
    return parts.reverse().join('/');
  }

  kind(index: Index): InodeKind {
    return kinds[this.#records.get(index, LENGTH_TYPE) >>> 16] ?? 'file';
  }

  hash(index: Index): number {
    return this.#records.get(index, HASH);
  }

  mode(index: Index): number {
    return this.#records.get(index, MODE);
  }

  uid(index: Index): number {
    return this.#records.get(index, UID);
  }

  gid(index: Index): number {
    return this.#records.get(index, GID);
  }

  mtime(index: Index): number {
    return this.#records.getLong(index, MTIME);
  }

  /** Bytes of a file or of a symbolic link's target. */
  size(index: Index): number {
    return this.#records.getLong(index, SIZE);
  }

  xattrs(index: Index): Xattrs | undefined {
    const place = this.#records.get(index, XATTRS);
    return place === 0 ? undefined : this.#details.xattrs(place);
  }

  target(index: Index): Buffer {
    return this.#strings.at(this.#records.getLong(index, OFFSET), this.size(index));
  }

  device(index: Index): { major: number; minor: number } {
    return { major: this.#records.get(index, OFFSET), minor: this.#records.get(index, OFFSET + 1) };
  }

  segments(index: Index): readonly Segment[] {
    const source = this.#records.get(index, SOURCE);
    if (source === PIECES) return this.#details.segments(this.#records.get(index, OFFSET));
    const file = this.#files.name(source);
    if (file === undefined) return [];
    return [{ offset: 0, bytes: { at: 'file', file, offset: this.offset(index), length: this.size(index) } }];
  }

  /** The file that all bytes of a file are in, and from which place on; undefined where it is not so simple. */
  source(index: Index): string | undefined {
    return this.#files.name(this.#records.get(index, SOURCE));
  }

  offset(index: Index): number {
    return this.#records.getLong(index, OFFSET);
  }

  /** The entry whose inode this one names: itself, unless it is a hard link. */
  owner(index: Index): Index {
    return this.#records.get(index, OWNER);
  }

  /** Makes this entry another name of what `owner` names. */
  link(index: Index, owner: Index): void {
    this.#records.set(index, OWNER, owner);
    const length = this.#records.get(index, LENGTH_TYPE) & 0xffff;
    this.#records.set(index, LENGTH_TYPE, length | (fileType[this.kind(owner)] << 16));
  }

  links(index: Index): number {
    return this.#records.get(index, LINKS);
  }

  /** Links children to their parents and counts the names of every inode. */
  gather(): void {
    for (let index = this.length - 1; index > 0; index--) {
      const parent = this.parent(index);
      this.#records.set(index, NEXT, this.#records.get(parent, CHILD));
      this.#records.set(parent, CHILD, index);
      const owner = this.owner(index);
      this.#records.set(owner, LINKS, this.links(owner) + 1);
      if (this.kind(index) !== 'directory') continue;
      this.#records.set(index, LINKS, this.links(index) + 1);
      this.#records.set(parent, LINKS, this.links(parent) + 1);
    }
    // The root directory is its own parent.
    this.#records.set(0, LINKS, this.links(0) + 2);
  }

  /** What is in a directory, and how it is spread over blocks; a string says why it cannot be. */
  directory(index: Index): { plan: DirectoryPlan | string; names: Names } {
    const records = this.#records;
    const strings = this.#strings;
    const children: Index[] = [];
    for (let child = records.get(index, CHILD); child !== 0; child = records.get(child, NEXT))
      children.push(child);
    const at = (i: number): Index => children[i] ?? 0;
    const length = (i: number): number => records.get(at(i), LENGTH_TYPE) & 0xffff;
    const names: Names = {
      count: children.length,
      length,
      hash(i, seed) {
        const place = records.get(at(i), NAME);
        const start = strings.startOf(place);
        return hashName(strings.page(place), seed, start, start + length(i));
      },
      put(i, block, to) {
        const place = records.get(at(i), NAME);
        const start = strings.startOf(place);
        const page = strings.page(place);
        // A byte at a time: most names are shorter than what it takes to call a copy.
        const count = length(i);
        for (let byte = 0; byte < count; byte++) block[to + byte] = page[start + byte] ?? 0;
      },
      inode: (i) => this.inode(at(i)),
      type: (i) => records.get(at(i), LENGTH_TYPE) >>> 16,
    };
    return { plan: this.#plans.plan(index, names), names };
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

  /** Blocks of the extent tree outside of the inode: known once the place is. */
  treeBlocks(index: Index): number {
    return this.#records.get(index, TREE_XATTR) >>> 1;
  }

  hasXattrBlock(index: Index): boolean {
    return (this.#records.get(index, TREE_XATTR) & 1) === 1;
  }

  /** All blocks of an inode: content, then extent tree, then extended attributes. */
  blocks(index: Index): number {
    const treeXattr = this.#records.get(index, TREE_XATTR);
    return this.content(index) + (treeXattr >>> 1) + (treeXattr & 1);
  }

  /** `holes`: the blocks of a file that hold data are not just its first ones. */
  setContent(index: Index, blocks: number, xattrBlock: boolean, holes = false): void {
    this.#records.set(index, CONTENT, blocks);
    this.#records.set(index, TREE_XATTR, xattrBlock ? 1 : 0);
    this.#records.set(index, HOLES, holes ? 1 : 0);
  }

  /** Whether the blocks of a file that hold data are not just its first ones. */
  hasHoles(index: Index): boolean {
    return this.#records.get(index, HOLES) === 1;
  }

  runs(index: Index): readonly LogicalRun[] {
    if (this.hasHoles(index)) return runsOf(this.segments(index));
    const blocks = this.content(index);
    return blocks === 0 ? [] : [{ logical: 0, count: blocks }];
  }

  place(index: Index): number {
    return this.#records.get(index, PLACE);
  }

  setPlace(index: Index, place: number, treeBlocks: number): void {
    this.#records.set(index, PLACE, place);
    this.#records.set(index, TREE_XATTR, treeBlocks * 2 + (this.hasXattrBlock(index) ? 1 : 0));
  }
}
