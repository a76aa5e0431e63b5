// Merges layers of entries into one tree. Later wins.
//
// What happens where two meet:
// - A file, link or node over anything: replaces it; over a directory: the whole of it goes.
// - A directory over a directory: its owner, mode, time and xattrs win, what is in it stays.
// - A directory over a symbolic link to a directory: the link stays, and so does the directory behind it, as dpkg does.
// - Names are looked up through symbolic links of the tree as a kernel would with the tree as its root: what is put
//   under `lib/` lands in `usr/lib/` where `lib` is a link to it. No link leads out of the tree.
// - A parent directory that is missing is made: mode 0755, owner root, the time of the entry that needed it.
// - A hard link holds on to the file it was made for, whatever happens to that file's other names later.
import { Failure } from '../../formats/errors.ts';
import type { Entry } from './entry.ts';
import { type Node, Nodes, root } from './nodes.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const MOST_LINKS = 40;
const DEFAULT_BUDGET = 24 * 1024 * 1024;
/** Longer names of one component, or targets, are no use to any filesystem. */
const MOST_BYTES = 32 * 1024;

export interface LayerOptions {
  /** Take `.wh.NAME` and `.wh..wh..opq` as OCI layers mean them: they remove what earlier layers put there. */
  readonly whiteouts?: boolean;
}

export class Tree {
  readonly #nodes: Nodes;
  #layer = 0;
  /** The last directory something was put into: archives put many in a row into one. */
  #lastPath: string | undefined;
  #lastNode: Node = root;

  /** About 130 bytes an entry; what goes beyond `budget` bytes in memory is kept in a temporary file. */
  constructor(options: { budget?: number } = {}) {
    this.#nodes = new Nodes(options.budget ?? DEFAULT_BUDGET);
  }

  /** Number of entries, the root among them. */
  get count(): number {
    return this.#nodes.count;
  }

  /** Lets go of the temporary file, if one was needed. */
  close(): void {
    this.#nodes.close();
  }

  /** Puts a layer over what is there. Refuses with Failure('input', …) what cannot be put where it says. */
  merge(entries: Iterable<Entry>, options: LayerOptions = {}): void {
    this.#layer++;
    for (const entry of entries) {
      if (options.whiteouts && this.#whiteout(entry)) continue;
      this.#put(entry);
    }
  }

  /** Every entry: parents before children, siblings in byte order, the first name of a file before its hard links. */
  *entries(): Generator<Entry> {
    const firstNames = new Map<number, Node>();
    yield this.#nodes.entry(root, '');
    yield* this.#below(root, '', firstNames);
  }

  /** The entry at a path; links in the path are followed, one at its end is not. */
  get(path: string): Entry | undefined {
    if (path === '') return this.#nodes.entry(root, '');
    const parent = this.#walk(root, parentOf(path).split('/'), undefined, path);
    const node = parent === undefined ? root : this.#nodes.child(parent, nameOf(path));
    return node === root ? undefined : this.#nodes.entry(node, this.#nodes.path(node));
  }

  /** Every name below the root in the order of `entries`, as nodes: for what looks at very many. */
  *walk(): Generator<Node> {
    const nodes = this.#nodes;
    for (let node = nodes.first(root); node !== root; ) {
      yield node;
      let next = nodes.kind(node) === 'directory' ? nodes.first(node) : root;
      for (; next === root && node !== root; node = nodes.parent(node)) next = nodes.next(node);
      node = next;
    }
  }

  /** Names and what they name, by the nodes of `walk`; to be read only. */
  get nodes(): Nodes {
    return this.#nodes;
  }

  *#below(directory: Node, prefix: string, firstNames: Map<number, Node>): Generator<Entry> {
    // Its own stack: generators in generators cost their depth for each entry.
    const stack = [{ prefix, children: this.#nodes.children(directory) }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const step = top.children.next();
      if (step.done) {
        stack.pop();
        continue;
      }
      const node = step.value;
      const path = top.prefix + this.#nodes.name(node);
      const entry = this.#nodes.entry(node, path);
      if (entry.kind === 'directory') {
        yield entry;
        stack.push({ prefix: `${path}/`, children: this.#nodes.children(node) });
        continue;
      }
      if (this.#nodes.links(node) > 1) {
        const first = firstNames.get(this.#nodes.inode(node));
        if (first !== undefined) {
          const { mode, uid, gid, mtime } = entry;
          yield { path, mode, uid, gid, mtime, kind: 'hardlink', target: this.#nodes.path(first) };
          continue;
        }
        firstNames.set(this.#nodes.inode(node), node);
      }
      yield entry;
    }
  }

  #put(entry: Entry): void {
    const nodes = this.#nodes;
    const { path } = entry;
    if (path === '') {
      if (entry.kind !== 'directory') throw refusal(path, 'the root of the tree is not a directory');
      nodes.fill(nodes.inode(root), entry);
      return;
    }
    const from = path.lastIndexOf('/') + 1;
    const parent = this.#parent(entry, from - 1);
    checkName(entry, from);
    const found = nodes.child(parent, path, from);
    if (entry.kind === 'directory') {
      this.#putDirectory(entry, parent, from, found);
      return;
    }
    const inode = entry.kind === 'hardlink' ? this.#linked(entry) : nodes.addInode(entry);
    if (found !== root && nodes.kind(found) === 'directory') this.#remove(found, Number.POSITIVE_INFINITY);
    const gone = found === root || nodes.inode(found) === 0;
    const node = gone ? nodes.addChild(parent, path, from) : found;
    if (nodes.inode(node) !== inode) nodes.setInode(node, inode, this.#layer);
    if (found !== root) this.#lastPath = undefined;
  }

  #putDirectory(entry: Entry & { kind: 'directory' }, parent: Node, from: number, found: Node): void {
    const nodes = this.#nodes;
    if (found === root) {
      nodes.setInode(nodes.addChild(parent, entry.path, from), nodes.addInode(entry), this.#layer);
    } else if (nodes.kind(found) === 'directory') {
      nodes.fill(nodes.inode(found), entry);
      nodes.setLayer(found, this.#layer);
    } else if (!(nodes.kind(found) === 'symlink' && this.#leadsToDirectory(found))) {
      nodes.setInode(found, nodes.addInode(entry), this.#layer);
      this.#lastPath = undefined;
    }
  }

  #leadsToDirectory(link: Node): boolean {
    const behind = this.#follow(link, undefined, '', { links: 0 });
    return behind !== undefined;
  }

  #linked(entry: Entry & { kind: 'hardlink' }): number {
    const parent = this.#walk(root, parentOf(entry.target).split('/'), undefined, entry.target);
    const node = parent === undefined ? root : this.#nodes.child(parent, nameOf(entry.target));
    if (node === root) throw refusal(entry.path, `it is a hard link to ${entry.target}, which is not there`);
    if (this.#nodes.kind(node) === 'directory') {
      throw refusal(entry.path, `it is a hard link to ${entry.target}, which is a directory`);
    }
    return this.#nodes.inode(node);
  }

  /** The directory that an entry goes into: `end` is where its path ends in the entry's, -1 for the root. */
  #parent(entry: Entry, end: number): Node {
    const last = this.#lastPath;
    if (last !== undefined && last.length === Math.max(0, end) && entry.path.startsWith(last))
      return this.#lastNode;
    const path = entry.path.slice(0, Math.max(0, end));
    const node = this.#walk(root, path.split('/'), entry, entry.path);
    if (node === undefined) throw refusal(entry.path, `${path} is not a directory`);
    this.#lastPath = path;
    this.#lastNode = node;
    return node;
  }

  /**
   * Goes down from a directory. What is missing is made if `maker` is given. Undefined where the way does not lead
   * through directories.
   */
  #walk(
    from: Node,
    names: readonly string[],
    maker: Entry | undefined,
    asked: string,
    seen = { links: 0 },
  ): Node | undefined {
    let at = from;
    for (const name of names) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        at = this.#nodes.parent(at);
        continue;
      }
      let next = this.#nodes.child(at, name);
      if (next === root) {
        if (maker === undefined) return undefined;
        next = this.#make(at, name, maker);
      }
      const kind = this.#nodes.kind(next);
      if (kind === 'symlink') {
        const behind = this.#follow(next, maker, asked, seen);
        if (behind === undefined) return undefined;
        at = behind;
      } else if (kind === 'directory') at = next;
      else return undefined;
    }
    return at;
  }

  #follow(link: Node, maker: Entry | undefined, asked: string, seen: { links: number }): Node | undefined {
    if (++seen.links > MOST_LINKS) throw refusal(asked, 'symbolic links lead round in a circle on its way');
    const entry = this.#nodes.entry(link, '');
    if (entry.kind !== 'symlink') return undefined;
    const from = entry.target.startsWith('/') ? root : this.#nodes.parent(link);
    return this.#walk(from, entry.target.split('/'), maker, asked, seen);
  }

  #make(parent: Node, name: string, maker: Entry): Node {
    const node = this.#nodes.addChild(parent, name);
    const inode = this.#nodes.addInode({
      kind: 'directory',
      path: '',
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtime: maker.mtime,
    });
    this.#nodes.setInode(node, inode, this.#layer);
    return node;
  }

  #whiteout(entry: Entry): boolean {
    const name = nameOf(entry.path);
    if (!name.startsWith(WHITEOUT)) return false;
    const parent = this.#walk(root, parentOf(entry.path).split('/'), undefined, entry.path);
    if (parent === undefined) return true;
    const removed =
      name === OPAQUE
        ? [...this.#nodes.children(parent)]
        : [this.#nodes.child(parent, name.slice(WHITEOUT.length))];
    for (const node of removed) if (node !== root) this.#remove(node, this.#layer);
    return true;
  }

  /** Removes what layers before `layer` put at and below a node; a directory stays with what stays in it. */
  #remove(top: Node, layer: number): void {
    const nodes = this.#nodes;
    this.#lastPath = undefined;
    const found = [top];
    // It grows as it is gone through: a list, as a tree may be deeper than calls can be.
    for (const node of found) {
      if (nodes.kind(node) === 'directory') for (const child of nodes.children(node)) found.push(child);
    }
    for (const node of found.reverse()) {
      const isEmpty = nodes.kind(node) !== 'directory' || nodes.first(node) === root;
      if (isEmpty && nodes.layer(node) < layer) nodes.remove(node);
    }
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** Refuses what is no name: it follows `from` in the path. */
function checkName(entry: Entry, from: number): void {
  const length = entry.path.length - from;
  if (length < 3 && isNoName(entry.path.slice(from)))
    throw refusal(entry.path, 'its name is not one of a file');
  const longest = entry.kind === 'symlink' ? Math.max(length, entry.target.length) : length;
  if (longest * 3 > MOST_BYTES) throw refusal(entry.path.slice(0, 255), 'its name or target is far too long');
}

function isNoName(name: string): boolean {
  return name === '' || name === '.' || name === '..';
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function refusal(path: string, why: string): Failure {
  return new Failure('input', { what: `/${path} cannot be put into the tree`, why });
}
