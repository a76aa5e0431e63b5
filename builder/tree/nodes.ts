// How a tree is kept: names and what they name in flat records, about 130 bytes an entry, none of them objects.
import { nameToBytes } from './entry.ts';
import { type Facts, type InodeEntry, type InodeKind, Inodes } from './inodes.ts';
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
/** Bytes of a name that are compared at once: directories may hold very many long ones. */
const SORTED_AT_ONCE = 32;

export class Nodes {
  readonly #nodes: Records;
  readonly #inodes: Inodes;
  readonly #strings: ByteStrings;
  /** Open addressing over (parent, name): pairs of hash and node, so that only a hit looks at the node; 0 is free. */
  #table = new Uint32Array(2048);
  #filled = 0;
  #name: Uint8Array = new Uint8Array(256);
  #nameLength = 0;
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

  /** The child of that name, or `root` if there is none. */
  child(parent: Node, name: string): Node {
    return this.#table[this.#slot(parent, this.#hash(parent, name)) + 1] ?? root;
  }

  /** Adds a name that is not there yet; it names nothing until `setInode`. */
  addChild(parent: Node, name: string): Node {
    const hash = this.#hash(parent, name);
    const node = this.#nodes.add();
    this.#nodes.set(node, PARENT, parent);
    this.#nodes.set(node, NAME, this.#strings.add(this.#name, this.#nameLength));
    this.#nodes.set(node, NAME_LENGTH, this.#nameLength);
    this.#nodes.set(node, NEXT, this.#nodes.get(parent, CHILD));
    this.#nodes.set(parent, CHILD, node);
    this.#inodes.setSorted(this.inode(parent), false);
    this.#insert(node, hash, this.#slot(parent, hash));
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
    const slot = this.#slot(this.parent(node), this.#hash(this.parent(node), this.name(node)));
    this.#table[slot + 1] = TOMBSTONE;
    this.#nodes.set(node, INODE, 0);
    this.count--;
  }

  /** The names in a directory, in byte order. */
  *children(directory: Node): Generator<Node> {
    const inode = this.inode(directory);
    if (!this.#inodes.isSorted(inode)) {
      this.#sort(directory);
      this.#inodes.setSorted(inode, true);
    }
    for (let node = this.#nodes.get(directory, CHILD); node !== root; node = this.#nodes.get(node, NEXT)) {
      if (this.inode(node) !== 0) yield node;
    }
  }

  #sort(directory: Node): void {
    const nodes: Node[] = [];
    for (let node = this.#nodes.get(directory, CHILD); node !== root; node = this.#nodes.get(node, NEXT)) {
      if (this.inode(node) !== 0) nodes.push(node);
    }
    nodes.reverse();
    let next = root;
    for (const node of this.#sorted(nodes, 0).reverse()) {
      this.#nodes.set(node, NEXT, next);
      next = node;
    }
    this.#nodes.set(directory, CHILD, next);
  }

  /** Nodes in the order of their names, whose first `skip` bytes are the same. Looks at a part of each at a time. */
  #sorted(nodes: readonly Node[], skip: number): Node[] {
    const named = nodes.map((node) => {
      const length = Math.max(0, Math.min(SORTED_AT_ONCE, this.lengthOf(node) - skip));
      return { node, part: this.#strings.latin1(this.#nodes.get(node, NAME) + skip, length) };
    });
    named.sort((a, b) => (a.part < b.part ? -1 : a.part === b.part ? 0 : 1));
    const sorted = named.map(({ node }) => node);
    for (let from = 0, to = 0; from < named.length; from = to) {
      const part = named[from]?.part ?? '';
      for (to = from + 1; part.length === SORTED_AT_ONCE && named[to]?.part === part; to++);
      if (to - from < 2) continue;
      for (const [i, node] of this.#sorted(sorted.slice(from, to), skip + SORTED_AT_ONCE).entries())
        sorted[from + i] = node;
    }
    return sorted;
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

  /** Puts the bytes of a name into `#name` and gives their hash (FNV-1a over parent and name). */
  #hash(parent: Node, name: string): number {
    if (this.#name.length < name.length) this.#name = new Uint8Array(name.length * 2);
    let hash = Math.imul(0x811c9dc5 ^ parent, 0x01000193);
    this.#nameLength = name.length;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i);
      if (code >= 0x80) {
        this.#name = nameToBytes(name);
        this.#nameLength = this.#name.length;
        break;
      }
      this.#name[i] = code;
    }
    for (let i = 0; i < this.#nameLength; i++) hash = Math.imul(hash ^ (this.#name[i] ?? 0), 0x01000193);
    return (hash ^ (hash >>> 15)) >>> 0;
  }

  /** Where the name in `#name` is in the table, or a free place for it. */
  #slot(parent: Node, hash: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    for (let slot = (hash * 2) & mask; ; slot = (slot + 2) & mask) {
      const node = table[slot + 1] ?? 0;
      if (node === 0) return slot;
      if (table[slot] !== hash || node === TOMBSTONE || this.parent(node) !== parent) continue;
      if (this.#nodes.get(node, NAME_LENGTH) !== this.#nameLength) continue;
      if (this.#strings.isAt(this.#nodes.get(node, NAME), this.#name, this.#nameLength)) return slot;
    }
  }

  #insert(node: Node, hash: number, slot: number): void {
    this.#table[slot] = hash;
    this.#table[slot + 1] = node;
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
