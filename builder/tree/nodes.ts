// How a tree is kept: names and what they name in flat records, about 130 bytes an entry, none of them objects.
import { nameToBytes } from './entry.ts';
import { type Facts, type InodeEntry, type InodeKind, Inodes } from './inodes.ts';
import { orderNames } from './order.ts';
import { ByteStrings, Records } from './pages.ts';

/** Index of a name; `root` is the root directory, and where a link to a node is meant, none. */
export type Node = number;
export const root: Node = 0;

// A node: one name in one directory.
const PARENT = 0;
const NAME = 1;
const NAME_LENGTH = 2;
const INODE = 3;
const NEXT = 4;
const CHILD = 5;
const LAYER = 6;

const TOMBSTONE = 0xffff_ffff;

export class Nodes {
  readonly #nodes: Records;
  readonly #inodes: Inodes;
  readonly #strings: ByteStrings;
  /** Open addressing over (parent, name): pairs of hash and node, so that only a hit looks at the node; 0 is free. */
  #table = new Uint32Array(2048);
  #filled = 0;
  #name: Uint8Array = new Uint8Array(256);
  #nameLength = 0;
  /** What was looked up last, its hash, and where it is in the table. */
  #asked: string | undefined;
  #askedFrom = 0;
  #askedParent: Node = root;
  #hash = 0;
  #slot = 0;
  /** Names that are not removed, the root among them. */
  count = 1;

  /** `budget` bytes of names and records stay in memory, more go to a temporary file. */
  constructor(budget: number) {
    this.#nodes = new Records(8, budget * 0.25);
    this.#strings = new ByteStrings(budget * 0.25);
    this.#inodes = new Inodes(budget * 0.5, this.#strings);
    this.#nodes.add();
    this.setInode(
      root,
      this.addInode({ kind: 'directory', path: '', mode: 0o755, uid: 0, gid: 0, mtime: 0 }),
      0,
    );
  }

  close(): void {
    for (const store of [this.#nodes, this.#inodes, this.#strings]) store.close();
  }

  parent(node: Node): Node {
    return this.#nodes.get(node, PARENT);
  }

  layer(node: Node): number {
    return this.#nodes.get(node, LAYER);
  }

  kind(node: Node): InodeKind {
    return this.#inodes.kind(this.inode(node));
  }

  inode(node: Node): number {
    return this.#nodes.get(node, INODE);
  }

  links(node: Node): number {
    return this.#inodes.links(this.inode(node));
  }

  name(node: Node): string {
    return this.#strings.text(this.#nodes.get(node, NAME), this.#nodes.get(node, NAME_LENGTH));
  }

  /** The bytes of a name are so many from `startOf` on in `pageOf`, which is valid until the next call. */
  lengthOf(node: Node): number {
    return this.#nodes.get(node, NAME_LENGTH);
  }

  pageOf(node: Node): Buffer {
    return this.#strings.page(this.#nodes.get(node, NAME));
  }

  startOf(node: Node): number {
    return this.#strings.startOf(this.#nodes.get(node, NAME));
  }

  path(node: Node): string {
    const names: string[] = [];
    for (let at = node; at !== root; at = this.parent(at)) names.push(this.name(at));
    return names.reverse().join('/');
  }

  /** The child of that name (what follows `from` in `path`), or `root` if there is none. */
  child(parent: Node, path: string, from = 0): Node {
    this.#lookUp(parent, path, from);
    return this.#table[this.#slot + 1] ?? root;
  }

  /** Adds a name that is not there yet; it names nothing until `setInode`. */
  addChild(parent: Node, path: string, from = 0): Node {
    this.#lookUp(parent, path, from);
    const nodes = this.#nodes;
    const next = nodes.get(parent, CHILD);
    const node = nodes.add();
    nodes.set(parent, CHILD, node);
    const page = nodes.page(node);
    const at = nodes.startOf(node);
    page[at + PARENT] = parent;
    page[at + NAME] = this.#strings.add(this.#name, this.#nameLength);
    page[at + NAME_LENGTH] = this.#nameLength;
    page[at + NEXT] = next;
    this.#inodes.setSorted(this.inode(parent), false);
    this.#insert(node);
    this.count++;
    return node;
  }

  setInode(node: Node, inode: number, layer: number): void {
    const old = this.inode(node);
    this.#inodes.count(inode, 1);
    if (old !== 0) this.#inodes.count(old, -1);
    this.#nodes.set(node, INODE, inode);
    this.#nodes.set(node, LAYER, layer);
  }

  setLayer(node: Node, layer: number): void {
    this.#nodes.set(node, LAYER, layer);
  }

  /** Takes one name away. A directory must be empty of names by then. */
  remove(node: Node): void {
    this.#inodes.count(this.inode(node), -1);
    this.#lookUp(this.parent(node), this.name(node), 0);
    this.#table[this.#slot + 1] = TOMBSTONE;
    this.#asked = undefined;
    this.#nodes.set(node, INODE, 0);
    this.count--;
  }

  /** The names in a directory, in byte order. */
  *children(directory: Node): Generator<Node> {
    for (let node = this.first(directory); node !== root; node = this.next(node)) yield node;
  }

  /** The first name in a directory, `root` if there is none. */
  first(directory: Node): Node {
    const inode = this.inode(directory);
    if (!this.#inodes.isSorted(inode)) {
      this.#sort(directory);
      this.#inodes.setSorted(inode, true);
    }
    return this.#thereFrom(this.#nodes.get(directory, CHILD));
  }

  /** The name after one in its directory, `root` if it is the last. */
  next(node: Node): Node {
    return this.#thereFrom(this.#nodes.get(node, NEXT));
  }

  /** The first one that was not removed. */
  #thereFrom(node: Node): Node {
    let at = node;
    while (at !== root && this.inode(at) === 0) at = this.#nodes.get(at, NEXT);
    return at;
  }

  #sort(directory: Node): void {
    const nodes: Node[] = [];
    for (let node = this.#nodes.get(directory, CHILD); node !== root; node = this.#nodes.get(node, NEXT)) {
      if (this.inode(node) !== 0) nodes.push(node);
    }
    nodes.reverse();
    orderNames(nodes, this);
    let next = root;
    for (const node of nodes.reverse()) {
      this.#nodes.set(node, NEXT, next);
      next = node;
    }
    this.#nodes.set(directory, CHILD, next);
  }

  addInode(entry: InodeEntry): number {
    return this.#inodes.add(entry);
  }

  /** Writes what an entry says over an inode. */
  fill(inode: number, entry: InodeEntry): void {
    this.#inodes.fill(inode, entry);
  }

  /** The entry of a node, under that path. */
  entry(node: Node, path: string): InodeEntry {
    return this.#inodes.entry(this.inode(node), path);
  }

  /** What a node names, without an object for it. */
  tell(node: Node, facts: Facts): void {
    this.#inodes.tell(this.inode(node), facts);
  }

  /** Finds where a name is in the table, or a free place for it. */
  #lookUp(parent: Node, path: string, from: number): void {
    // Who adds a name has asked for it just before.
    if (this.#asked === path && this.#askedFrom === from && this.#askedParent === parent) return;
    const hash = this.#hashOf(parent, path, from);
    const table = this.#table;
    const mask = table.length - 1;
    let slot = (hash * 2) & mask;
    for (; !this.#isFreeOrIt(slot, hash, parent); slot = (slot + 2) & mask);
    this.#hash = hash;
    this.#slot = slot;
    this.#asked = path;
    this.#askedFrom = from;
    this.#askedParent = parent;
  }

  #isFreeOrIt(slot: number, hash: number, parent: Node): boolean {
    const node = this.#table[slot + 1] ?? 0;
    if (node === 0) return true;
    if (this.#table[slot] !== hash || node === TOMBSTONE || this.parent(node) !== parent) return false;
    if (this.#nodes.get(node, NAME_LENGTH) !== this.#nameLength) return false;
    return this.#strings.isAt(this.#nodes.get(node, NAME), this.#name, this.#nameLength);
  }

  /** Puts the bytes of a name into `#name` and gives their hash (FNV-1a over parent and name). */
  #hashOf(parent: Node, path: string, from: number): number {
    const length = path.length - from;
    if (this.#name.length < length) this.#name = new Uint8Array(length * 2);
    const name = this.#name;
    this.#nameLength = length;
    let hash = Math.imul(0x811c9dc5 ^ parent, 0x01000193);
    for (let i = 0; i < length; i++) {
      const code = path.charCodeAt(from + i);
      if (code >= 0x80) return this.#hashOfBytes(parent, nameToBytes(path.slice(from)));
      name[i] = code;
      hash = Math.imul(hash ^ code, 0x01000193);
    }
    return (hash ^ (hash >>> 15)) >>> 0;
  }

  #hashOfBytes(parent: Node, name: Uint8Array): number {
    this.#name = name;
    this.#nameLength = name.length;
    let hash = Math.imul(0x811c9dc5 ^ parent, 0x01000193);
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ (name[i] ?? 0), 0x01000193);
    return (hash ^ (hash >>> 15)) >>> 0;
  }

  /** Puts a node where `#lookUp` found a free place. */
  #insert(node: Node): void {
    this.#table[this.#slot] = this.#hash;
    this.#table[this.#slot + 1] = node;
    this.#asked = undefined;
    if (++this.#filled * 20 < this.#table.length * 7) return;
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    this.#filled = 0;
    const mask = this.#table.length - 1;
    for (let at = 0; at < old.length; at += 2) {
      const other = old[at + 1] ?? 0;
      if (other === 0 || other === TOMBSTONE) continue;
      let free = ((old[at] ?? 0) * 2) & mask;
      while (this.#table[free + 1] !== 0) free = (free + 2) & mask;
      this.#table[free] = old[at] ?? 0;
      this.#table[free + 1] = other;
      this.#filled++;
    }
  }
}
