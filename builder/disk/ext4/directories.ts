// Directories: entries in blocks; beyond one block an index by hash of the name (htree).
import { BLOCK } from './layout.ts';
import { AT_ONCE, Fetched, type Name, type Names, type WritableNames } from './names.ts';

/** Bytes of an entry before its name. */
const HEADER = 8;
const ROOT_LIMIT = (BLOCK - 32) / 8;
const NODE_LIMIT = (BLOCK - 8) / 8;
const HALF_MD4 = 1;
/** In one directory. */
const MOST_NAMES = 2 ** 22;
/** Names of a directory that are looked at one by one; more are fetched. */
const FEW = 4096;

/** A leaf: the entries (indexes) from `from` to `to` (exclusive) of the order by hash, all of `hash` or above. */
interface Leaf {
  readonly hash: number;
  readonly from: number;
  readonly to: number;
}

/** How the names of a directory are spread over blocks. */
export interface DirectoryPlan {
  readonly blocks: number;
  /** Whether there is an index. */
  readonly indexed: boolean;
  readonly leaves: readonly Leaf[];
  /** Positions in the list of names, in the order they are written. */
  readonly order: Uint32Array;
}

/**
 * Spreads names over blocks. Where one block is too small, the range of hashes is halved until each part fits into a
 * block: a name more or less changes one leaf. A string says why it cannot be done.
 */
function planDirectory(names: Names, seed: readonly number[]): DirectoryPlan | string {
  const { count } = names;
  const order = new Uint32Array(count);
  const sizes = new Uint16Array(count);
  let total = 2 * entrySize(2);
  for (let i = 0; i < count; i++) {
    order[i] = i;
    const size = entrySize(names.length(i));
    sizes[i] = size;
    total += size;
  }
  if (total <= BLOCK) {
    return { blocks: 1, indexed: false, leaves: [{ hash: 0, from: 0, to: count }], order };
  }
  if (count > MOST_NAMES) return `it holds ${count} names, and ${MOST_NAMES} is the most`;
  const hashes = new Uint32Array(count);
  // By hash, then by name: both in one number, as numbers sort fastest. The lowest bit of a hash is 0.
  const keys = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const hash = names.hash(i, seed);
    hashes[i] = hash;
    keys[i] = (hash / 2) * MOST_NAMES + i;
  }
  keys.sort();
  for (let i = 0; i < count; i++) order[i] = (keys[i] ?? 0) % MOST_NAMES;
  const leaves = splitByHash(sizes, hashes, order);
  const nodes = leaves.length <= ROOT_LIMIT ? 0 : Math.ceil(leaves.length / NODE_LIMIT);
  if (nodes > ROOT_LIMIT) return `it holds ${count} names, more than an index of two levels can`;
  return { blocks: 1 + nodes + leaves.length, indexed: true, leaves, order };
}

/**
 * Plans of indexed directories with so many names together are kept, a few bytes each; others are made twice. Where one
 * block is enough that is quickly done, and there may be very many of them.
 */
const MOST_KEPT = 200_000;

/** Plans by number of the directory: asked for when it is counted, and when it is written. */
export class DirectoryPlans {
  readonly #seed: readonly number[];
  readonly #plans = new Map<number, DirectoryPlan>();
  #kept = 0;

  constructor(seed: readonly number[]) {
    this.#seed = seed;
  }

  /** As `planDirectory`; the names of a directory are always the same. */
  plan(directory: number, names: Names): DirectoryPlan | string {
    const known = this.#plans.get(directory);
    if (known !== undefined) return known;
    const plan = planDirectory(names, this.#seed);
    if (typeof plan === 'string' || !plan.indexed || this.#kept + names.count > MOST_KEPT) return plan;
    this.#plans.set(directory, plan);
    this.#kept += names.count;
    return plan;
  }
}

function splitByHash(sizes: Uint16Array, hashes: Uint32Array, order: Uint32Array): Leaf[] {
  const leaves: Leaf[] = [];
  const hashAt = (i: number): number => hashes[order[i] ?? 0] ?? 0;
  const sizeAt = (i: number): number => sizes[order[i] ?? 0] ?? 0;
  const split = (from: number, to: number, low: number, span: number): void => {
    if (from === to) return;
    let size = 0;
    for (let i = from; i < to && size <= BLOCK; i++) size += sizeAt(i);
    if (size <= BLOCK) leaves.push({ hash: low, from, to });
    else if (span <= 2) spill(from, to, low);
    else {
      const half = span / 2;
      let middle = from;
      while (middle < to && hashAt(middle) < low + half) middle++;
      split(from, middle, low, half);
      split(middle, to, low + half, half);
    }
  };
  // Names of one hash that fill more than a block: the lowest bit says that a leaf goes on with the hash before it.
  const spill = (from: number, to: number, low: number): void => {
    let start = from;
    let size = 0;
    for (let i = from; i < to; i++) {
      if (size + sizeAt(i) > BLOCK) {
        leaves.push({ hash: start === from ? low : low | 1, from: start, to: i });
        start = i;
        size = 0;
      }
      size += sizeAt(i);
    }
    leaves.push({ hash: start === from ? low : low | 1, from: start, to });
  };
  split(0, order.length, 0, 0x1_0000_0000);
  return leaves;
}

/** Writes the blocks of a directory; `room` gives a zeroed block each time, in their order. */
export function writeDirectory(
  plan: DirectoryPlan,
  names: Names,
  self: number,
  parent: number,
  room: () => Buffer,
): void {
  const dot: Name = { name: Uint8Array.of(0x2e), inode: self, type: 2 };
  const dots: Name = { name: Uint8Array.of(0x2e, 0x2e), inode: parent, type: 2 };
  if (plan.indexed) {
    writeIndex(plan, dot, dots, room);
    writeLeaves(plan, names, room);
    return;
  }
  const block = room();
  writeEntry(block, 0, 12, dot);
  writeEntry(block, 12, names.count === 0 ? BLOCK - 12 : 12, dots);
  writeLeaf(block, 24, plan.order, names);
}

/** Leaves are in the order of hashes, names are kept in the order of the tree. */
function writeLeaves({ leaves, order }: DirectoryPlan, names: Names, room: () => Buffer): void {
  if (names.count <= FEW) {
    for (const { from, to } of leaves) writeLeaf(room(), 0, order.subarray(from, to), names);
    return;
  }
  let start = 0;
  const fetched = new Fetched();
  for (const { from, to } of leaves) {
    if (to > start + fetched.count) {
      start = from;
      fetched.fetch(names, order.subarray(start, start + AT_ONCE));
    }
    writeLeaf(room(), 0, fetched.positions.subarray(from - start, to - start), fetched);
  }
}

function writeIndex(plan: DirectoryPlan, dot: Name, dots: Name, room: () => Buffer): void {
  const nodes = plan.blocks - 1 - plan.leaves.length;
  const leaves = plan.leaves.map(({ hash }, i) => ({ hash, block: 1 + nodes + i }));
  const root = room();
  writeEntry(root, 0, 12, dot);
  writeEntry(root, 12, BLOCK - 12, dots);
  root.writeUInt8(HALF_MD4, 28);
  root.writeUInt8(8, 29);
  root.writeUInt8(nodes === 0 ? 0 : 1, 30);
  if (nodes === 0) {
    writeIndexEntries(root, 32, ROOT_LIMIT, leaves);
    return;
  }
  const children = Array.from({ length: nodes }, (_, i) =>
    leaves.slice(i * NODE_LIMIT, (i + 1) * NODE_LIMIT),
  );
  writeIndexEntries(
    root,
    32,
    ROOT_LIMIT,
    children.map((child, i) => ({ hash: child[0]?.hash ?? 0, block: 1 + i })),
  );
  for (const child of children) {
    const node = room();
    // To who reads entries one by one the block is empty.
    node.writeUInt16LE(BLOCK, 4);
    writeIndexEntries(node, 8, NODE_LIMIT, child);
  }
}

/** The first entry has no hash: limit and count are in its place. */
function writeIndexEntries(
  block: Buffer,
  at: number,
  limit: number,
  entries: readonly { hash: number; block: number }[],
): void {
  for (const [i, entry] of entries.entries()) {
    block.writeUInt32LE(entry.hash, at + i * 8);
    block.writeUInt32LE(entry.block, at + i * 8 + 4);
  }
  block.writeUInt16LE(limit, at);
  block.writeUInt16LE(entries.length, at + 2);
}

/** The last entry reaches to the end of the block. */
function writeLeaf(block: Buffer, start: number, order: Uint32Array, names: WritableNames): void {
  let at = start;
  for (let position = 0; position < order.length; position++) {
    const i = order[position] ?? 0;
    const length = names.length(i);
    const size = position === order.length - 1 ? BLOCK - at : entrySize(length);
    writeHeader(block, at, names.inode(i), size, length, names.type(i));
    names.put(i, block, at + HEADER);
    at += size;
  }
}

function writeEntry(block: Buffer, at: number, size: number, { name, inode, type }: Name): void {
  writeHeader(block, at, inode, size, name.length, type);
  block.set(name, at + HEADER);
}

function writeHeader(
  block: Buffer,
  at: number,
  inode: number,
  size: number,
  length: number,
  type: number,
): void {
  block.writeUInt32LE(inode, at);
  block.writeUInt16LE(size, at + 4);
  block.writeUInt8(length, at + 6);
  block.writeUInt8(type, at + 7);
}

function entrySize(nameLength: number): number {
  return (HEADER + nameLength + 3) & ~3;
}

/** The names in a block of a directory, without `.` and `..`. Blocks of an index look empty. A RangeError says that it is damaged. */
export function* readEntries(block: Buffer): Generator<Name> {
  for (let at = 0; at + HEADER <= block.length; ) {
    const size = block.readUInt16LE(at + 4);
    if (size < HEADER || at + size > block.length) throw new RangeError('a directory block cannot be read');
    const inode = block.readUInt32LE(at);
    const length = block.readUInt8(at + 6);
    const name = block.subarray(at + HEADER, at + HEADER + length);
    const dots = name[0] === 0x2e && (length === 1 || (length === 2 && name[1] === 0x2e));
    if (inode !== 0 && !dots) yield { name, inode, type: block.readUInt8(at + 7) };
    at += size;
  }
}
