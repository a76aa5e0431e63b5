// How a tree is kept: names and what they name in flat records, about 130 bytes an entry, none of them objects.
import type { Entry, Segment, Xattrs } from './entry.ts';
import { nameToBytes } from './entry.ts';
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

// An inode: what one or more names name. Inode 0 stands for a name that was removed.
const KIND_MODE = 0;
const UID = 1;
const GID = 2;
const MTIME = 3;
const SIZE = 5;
const SOURCE = 7;
const PLACE = 8;
const XATTRS = 10;
const LINKS = 11;
const SORTED = 12;

const kinds = ['file', 'directory', 'symlink', 'char', 'block', 'fifo', 'socket'] as const;
export type InodeKind = (typeof kinds)[number];
type InodeEntry = Exclude<Entry, { kind: 'hardlink' }>;

/** In place of the index of a file: the segments are objects. */
const PIECES = 0xffff_ffff;
const TOMBSTONE = 0xffff_ffff;

export class Nodes {
  readonly #nodes: Records;
  readonly #inodes: Records;
  readonly #strings: ByteStrings;
  readonly #files: string[] = [];
  readonly #fileNumbers = new Map<string, number>();
  readonly #pieces: (readonly Segment[])[] = [];
  readonly #xattrs: (Xattrs | undefined)[] = [undefined];
  readonly #xattrNumbers = new Map<string, number>();
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
    this.#inodes = new Records(16, budget * 0.5);
    this.#strings = new ByteStrings(budget * 0.25);
    this.#nodes.add();
    this.#inodes.add();
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
    return kinds[this.#inodes.get(this.inode(node), KIND_MODE) & 15] ?? 'file';
  }

  inode(node: Node): number {
    return this.#nodes.get(node, INODE);
  }

  links(node: Node): number {
    return this.#inodes.get(this.inode(node), LINKS);
  }

  name(node: Node): string {
    return this.#strings.text(this.#nodes.get(node, NAME), this.#nodes.get(node, NAME_LENGTH));
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
    this.#inodes.set(this.inode(parent), SORTED, 0);
    this.#insert(node, hash, this.#slot(parent, hash));
    this.count++;
    return node;
  }

  setInode(node: Node, inode: number, layer: number): void {
    const old = this.inode(node);
    this.#inodes.set(inode, LINKS, this.#inodes.get(inode, LINKS) + 1);
    if (old !== 0) this.#inodes.set(old, LINKS, this.#inodes.get(old, LINKS) - 1);
    this.#nodes.set(node, INODE, inode);
    this.#nodes.set(node, LAYER, layer);
  }

  setLayer(node: Node, layer: number): void {
    this.#nodes.set(node, LAYER, layer);
  }

  /** Takes one name away. A directory must be empty of names by then. */
  remove(node: Node): void {
    const inode = this.inode(node);
    this.#inodes.set(inode, LINKS, this.#inodes.get(inode, LINKS) - 1);
    const slot = this.#slot(this.parent(node), this.#hash(this.parent(node), this.name(node)));
    this.#table[slot + 1] = TOMBSTONE;
    this.#nodes.set(node, INODE, 0);
    this.count--;
  }

  /** The names in a directory, in byte order. */
  *children(directory: Node): Generator<Node> {
    const inode = this.inode(directory);
    if (this.#inodes.get(inode, SORTED) === 0) {
      this.#sort(directory);
      this.#inodes.set(inode, SORTED, 1);
    }
    for (let node = this.#nodes.get(directory, CHILD); node !== root; node = this.#nodes.get(node, NEXT)) {
      if (this.inode(node) !== 0) yield node;
    }
  }

  #sort(directory: Node): void {
    const named: { node: Node; name: string }[] = [];
    for (let node = this.#nodes.get(directory, CHILD); node !== root; node = this.#nodes.get(node, NEXT)) {
      if (this.inode(node) === 0) continue;
      const name = this.#strings.latin1(this.#nodes.get(node, NAME), this.#nodes.get(node, NAME_LENGTH));
      named.push({ node, name });
    }
    named.reverse();
    named.sort((a, b) => (a.name < b.name ? -1 : 1));
    let next = root;
    for (let i = named.length - 1; i >= 0; i--) {
      const node = named[i]?.node ?? root;
      this.#nodes.set(node, NEXT, next);
      next = node;
    }
    this.#nodes.set(directory, CHILD, next);
  }

  addInode(entry: InodeEntry): number {
    const inode = this.#inodes.add();
    this.fill(inode, entry);
    return inode;
  }

  /** Writes what an entry says over an inode. */
  fill(inode: number, entry: InodeEntry): void {
    const set = (word: number, value: number): void => this.#inodes.set(inode, word, value);
    set(KIND_MODE, kinds.indexOf(entry.kind) | (entry.mode << 4));
    set(UID, entry.uid);
    set(GID, entry.gid);
    this.#inodes.setLong(inode, MTIME, entry.mtime);
    set(XATTRS, this.#xattrNumber(entry.xattrs));
    if (entry.kind === 'file') this.#fillContent(inode, entry.size, entry.segments);
    else if (entry.kind === 'symlink') {
      const target = nameToBytes(entry.target);
      this.#inodes.setLong(inode, SIZE, target.length);
      set(PLACE, this.#strings.add(target, target.length));
    } else if (entry.kind === 'char' || entry.kind === 'block') {
      set(PLACE, entry.major);
      set(PLACE + 1, entry.minor);
    }
  }

  #fillContent(inode: number, size: number, segments: readonly Segment[]): void {
    this.#inodes.setLong(inode, SIZE, size);
    const only = segments[0];
    if (
      segments.length === 1 &&
      only?.offset === 0 &&
      only.bytes.at === 'file' &&
      only.bytes.length === size
    ) {
      this.#inodes.set(inode, SOURCE, this.#fileNumber(only.bytes.file));
      this.#inodes.setLong(inode, PLACE, only.bytes.offset);
    } else {
      this.#inodes.set(inode, SOURCE, PIECES);
      this.#inodes.set(inode, PLACE, this.#pieces.push(segments) - 1);
    }
  }

  /** The entry of a node, under that path. */
  entry(node: Node, path: string): InodeEntry {
    const inode = this.inode(node);
    const inodes = this.#inodes;
    const kindMode = inodes.get(inode, KIND_MODE);
    const mode = kindMode >>> 4;
    const uid = inodes.get(inode, UID);
    const gid = inodes.get(inode, GID);
    const mtime = inodes.getLong(inode, MTIME);
    const kind = kinds[kindMode & 15] ?? 'file';
    const xattrs = this.#xattrs[inodes.get(inode, XATTRS)];
    // Written out: spreading what they share costs more than all the rest.
    switch (kind) {
      case 'file': {
        const size = inodes.getLong(inode, SIZE);
        const segments = this.#segments(inode, size);
        if (xattrs === undefined) return { path, mode, uid, gid, mtime, kind, size, segments };
        return { path, mode, uid, gid, mtime, xattrs, kind, size, segments };
      }
      case 'symlink': {
        const target = this.#strings.text(inodes.get(inode, PLACE), inodes.getLong(inode, SIZE));
        if (xattrs === undefined) return { path, mode, uid, gid, mtime, kind, target };
        return { path, mode, uid, gid, mtime, xattrs, kind, target };
      }
      case 'char':
      case 'block': {
        const major = inodes.get(inode, PLACE);
        const minor = inodes.get(inode, PLACE + 1);
        if (xattrs === undefined) return { path, mode, uid, gid, mtime, kind, major, minor };
        return { path, mode, uid, gid, mtime, xattrs, kind, major, minor };
      }
      default:
        if (xattrs === undefined) return { path, mode, uid, gid, mtime, kind };
        return { path, mode, uid, gid, mtime, xattrs, kind };
    }
  }

  #segments(inode: number, size: number): readonly Segment[] {
    const source = this.#inodes.get(inode, SOURCE);
    if (source === PIECES) return this.#pieces[this.#inodes.get(inode, PLACE)] ?? [];
    const offset = this.#inodes.getLong(inode, PLACE);
    return [{ offset: 0, bytes: { at: 'file', file: this.#files[source] ?? '', offset, length: size } }];
  }

  #fileNumber(file: string): number {
    const known = this.#fileNumbers.get(file);
    if (known !== undefined) return known;
    this.#fileNumbers.set(file, this.#files.length);
    return this.#files.push(file) - 1;
  }

  /** Equal sets of extended attributes are kept once. */
  #xattrNumber(xattrs: Xattrs | undefined): number {
    if (xattrs === undefined || xattrs.length === 0) return 0;
    const key = xattrs.map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`).join('\n');
    const known = this.#xattrNumbers.get(key);
    if (known !== undefined) return known;
    this.#xattrNumbers.set(key, this.#xattrs.length);
    return this.#xattrs.push(xattrs.map(([name, value]) => [name, Uint8Array.from(value)] as const)) - 1;
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
