// What names of a tree name: owner, mode, times, xattrs, and where bytes are, in flat records.
import { Details, FileNumbers } from './details.ts';
import { type Entry, nameToBytes, type Segment, type Xattrs } from './entry.ts';
import { type ByteStrings, getLong, Records, setLong } from './pages.ts';

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
const nothing = Buffer.alloc(0);
export type InodeEntry = Exclude<Entry, { kind: 'hardlink' }>;

/** What an inode says, in one object that is filled again and again: very many entries are gone through without any. */
export class Facts {
  kind: InodeKind = 'file';
  mode = 0;
  uid = 0;
  gid = 0;
  /** Seconds since 1970. */
  mtime = 0;
  xattrs: Xattrs | undefined;
  /** Bytes of a file or of a symbolic link's target. */
  size = 0;
  /** Of a file that is one range: where it is; '' for one without bytes. */
  file = '';
  offset = 0;
  /** Of a file that is not. */
  segments: readonly Segment[] | undefined;
  /** Page with the target of a symbolic link, from `offset` on; valid until the next step. */
  page: Buffer = nothing;
  major = 0;
  minor = 0;
}

/** In place of the number of a file: its segments are among the details. */
const PIECES = 0xffff_ffff;
/** The same: it has no bytes. */
const EMPTY = 0xffff_fffe;

/** Inode 0 stands for a name that was removed. */
export class Inodes {
  readonly #records: Records;
  readonly #strings: ByteStrings;
  readonly #files = new FileNumbers();
  readonly #details: Details;

  /** `budget` bytes of records stay in memory; targets of symbolic links are kept in `strings`. */
  constructor(budget: number, strings: ByteStrings) {
    this.#records = new Records(16, budget * 0.75);
    this.#details = new Details(budget * 0.25, this.#files);
    this.#strings = strings;
    this.#records.add();
  }

  close(): void {
    this.#records.close();
    this.#details.close();
  }

  kind(inode: number): InodeKind {
    return kinds[this.#records.get(inode, KIND_MODE) & 15] ?? 'file';
  }

  links(inode: number): number {
    return this.#records.get(inode, LINKS);
  }

  /** Counts names that come or go. */
  count(inode: number, names: number): void {
    this.#records.set(inode, LINKS, this.links(inode) + names);
  }

  /** Whether the children of a directory are linked in their order. */
  isSorted(inode: number): boolean {
    return this.#records.get(inode, SORTED) === 1;
  }

  setSorted(inode: number, sorted: boolean): void {
    this.#records.set(inode, SORTED, sorted ? 1 : 0);
  }

  add(entry: InodeEntry): number {
    const inode = this.#records.add();
    this.fill(inode, entry);
    return inode;
  }

  /** Writes what an entry says over an inode. */
  fill(inode: number, entry: InodeEntry): void {
    const { xattrs } = entry;
    const details = xattrs === undefined || xattrs.length === 0 ? 0 : this.#details.addXattrs(xattrs);
    const page = this.#records.page(inode);
    const at = this.#records.startOf(inode);
    page[at + KIND_MODE] = kinds.indexOf(entry.kind) | (entry.mode << 4);
    page[at + UID] = entry.uid;
    page[at + GID] = entry.gid;
    setLong(page, at + MTIME, entry.mtime);
    page[at + XATTRS] = details;
    if (entry.kind === 'file') {
      setLong(page, at + SIZE, entry.size);
      this.#fillContent(page, at, entry.size, entry.segments);
    } else if (entry.kind === 'symlink') {
      const target = nameToBytes(entry.target);
      setLong(page, at + SIZE, target.length);
      page[at + PLACE] = this.#strings.add(target, target.length);
    } else if (entry.kind === 'char' || entry.kind === 'block') {
      page[at + PLACE] = entry.major;
      page[at + PLACE + 1] = entry.minor;
    }
  }

  #fillContent(page: Uint32Array, at: number, size: number, segments: readonly Segment[]): void {
    const only = segments[0]?.bytes;
    if (only === undefined && size === 0) {
      page[at + SOURCE] = EMPTY;
    } else if (
      segments.length === 1 &&
      segments[0]?.offset === 0 &&
      only?.at === 'file' &&
      only.length === size
    ) {
      page[at + SOURCE] = this.#files.number(only.file);
      setLong(page, at + PLACE, only.offset);
    } else {
      page[at + SOURCE] = PIECES;
      page[at + PLACE] = this.#details.addSegments(segments);
    }
  }

  /** The entry of an inode, under that path. */
  entry(inode: number, path: string): InodeEntry {
    const inodes = this.#records;
    const kindMode = inodes.get(inode, KIND_MODE);
    const mode = kindMode >>> 4;
    const uid = inodes.get(inode, UID);
    const gid = inodes.get(inode, GID);
    const mtime = inodes.getLong(inode, MTIME);
    const kind = kinds[kindMode & 15] ?? 'file';
    const xattrs = this.#xattrs(inode);
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

  /** Fills what holds for its kind. */
  tell(inode: number, facts: Facts): void {
    const page = this.#records.page(inode);
    const at = this.#records.startOf(inode);
    const kindMode = page[at + KIND_MODE] ?? 0;
    facts.kind = kinds[kindMode & 15] ?? 'file';
    facts.mode = kindMode >>> 4;
    facts.uid = page[at + UID] ?? 0;
    facts.gid = page[at + GID] ?? 0;
    facts.mtime = getLong(page, at + MTIME);
    const details = page[at + XATTRS] ?? 0;
    facts.xattrs = details === 0 ? undefined : this.#details.xattrs(details);
    facts.size = getLong(page, at + SIZE);
    const place = page[at + PLACE] ?? 0;
    if (facts.kind === 'file') {
      const source = page[at + SOURCE] ?? 0;
      facts.segments = source === PIECES ? this.#details.segments(place) : undefined;
      facts.file = this.#files.name(source) ?? '';
      facts.offset = getLong(page, at + PLACE);
    } else if (facts.kind === 'symlink') {
      facts.page = this.#strings.page(place);
      facts.offset = this.#strings.startOf(place);
    } else {
      facts.major = place;
      facts.minor = page[at + PLACE + 1] ?? 0;
    }
  }

  #segments(inode: number, size: number): readonly Segment[] {
    const source = this.#records.get(inode, SOURCE);
    if (source === EMPTY) return [];
    if (source === PIECES) return this.#details.segments(this.#records.get(inode, PLACE));
    const file = this.#files.name(source) ?? '';
    const offset = this.#records.getLong(inode, PLACE);
    return [{ offset: 0, bytes: { at: 'file', file, offset, length: size } }];
  }

  #xattrs(inode: number): Xattrs | undefined {
    const place = this.#records.get(inode, XATTRS);
    return place === 0 ? undefined : this.#details.xattrs(place);
  }
}
