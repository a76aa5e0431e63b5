// Goes through a tree once: counts what it takes, and finds everything that ext4 cannot hold.
import { Failure, type Problem } from '../../../formats/errors.ts';
import { Facts } from '../../tree/inodes.ts';
import type { Nodes } from '../../tree/nodes.ts';
import type { Tree } from '../../tree/tree.ts';
import { Census, type Index } from './census.ts';
import { runsOf } from './extents.ts';
import { EARLIEST, LATEST, LONGEST_FAST_LINK, MOST_LINKS, XATTR_ROOM } from './inodes.ts';
import { BLOCK } from './layout.ts';
import { placeXattrs } from './xattrs.ts';

const MOST_PROBLEMS = 20;
const LOST_AND_FOUND = Buffer.from('lost+found');
/** Blocks of a file are counted in 32 bits. */
const LARGEST_FILE = (0xffff_ffff - 1) * BLOCK;
/** Where hashes of paths start. */
const SEED = 0x811c9dc5;

type Refuse = (index: Index, why: string) => void;

/** Counts a tree. Refuses with Failure('input', …), naming up to 20 entries that ext4 cannot hold. */
export function takeCensus(tree: Tree, time: number, seed: readonly number[]): Census {
  const census = new Census(seed);
  const problems: Problem[] = [];
  const refuse: Refuse = (index, why) => {
    problems.push({ what: `/${census.path(index)} does not fit into ext4`, why });
    if (problems.length === MOST_PROBLEMS) throw new Failure('input', problems);
  };
  addEntries(census, tree, time, refuse);
  census.gather();
  countNames(census, refuse);
  if (problems.length > 0) throw new Failure('input', problems);
  return census;
}

function addEntries(census: Census, tree: Tree, time: number, refuse: Refuse): void {
  const { nodes } = tree;
  const facts = new Facts();
  const tell = (index: Index, node: number): void => {
    nodes.tell(node, facts);
    count(census, index, facts, refuse);
  };
  const rootHash = hashOf(SEED, LOST_AND_FOUND, 0, 0);
  tell(census.add(0, LOST_AND_FOUND, 0, 0, 'directory', rootHash), 0);
  addLostAndFound(census, time, rootHash);
  /** The directories that the next name may be in, the deepest last. */
  const ways = [{ node: 0, index: 0, hash: rootHash }];
  /** The first name of each inode that has several. */
  const firstNames = new Map<number, Index>();
  for (const node of tree.walk()) {
    let way = ways.at(-1);
    while (way !== undefined && way.node !== nodes.parent(node)) {
      ways.pop();
      way = ways.at(-1);
    }
    if (way === undefined) throw new Error(`/${nodes.path(node)} comes before its directory`);
    const length = nodes.lengthOf(node);
    const page = nodes.pageOf(node);
    const start = nodes.startOf(node);
    const kind = nodes.kind(node);
    if (way.node === 0 && isLostAndFound(nodes, node)) {
      if (kind !== 'directory') refuse(LOST_INDEX, 'it is not a directory, and e2fsck wants one there');
      else ways.push({ node, index: LOST_INDEX, hash: census.hash(LOST_INDEX) });
      continue;
    }
    const hash = hashOf(way.hash, page, start, start + length);
    const index = census.add(way.index, page, start, length, kind, hash);
    if (length > 255) refuse(index, `its name has ${length} bytes, and 255 is the most`);
    const first = nodes.links(node) > 1 ? firstNames.get(nodes.inode(node)) : undefined;
    if (first !== undefined) {
      census.link(index, first);
      continue;
    }
    if (nodes.links(node) > 1) firstNames.set(nodes.inode(node), index);
    tell(index, node);
    if (kind === 'directory') ways.push({ node, index, hash });
  }
}

/** e2fsck wants lost+found; it comes right after the root directory. */
const LOST_INDEX: Index = 1;

function addLostAndFound(census: Census, time: number, rootHash: number): void {
  const { length } = LOST_AND_FOUND;
  const index = census.add(
    0,
    LOST_AND_FOUND,
    0,
    length,
    'directory',
    hashOf(rootHash, LOST_AND_FOUND, 0, length),
  );
  const facts = new Facts();
  facts.kind = 'directory';
  facts.mode = 0o700;
  facts.mtime = time;
  census.describe(index, facts);
  census.setContent(index, 0, false);
}

function isLostAndFound(nodes: Nodes, node: number): boolean {
  const start = nodes.startOf(node);
  return nodes
    .pageOf(node)
    .subarray(start, start + nodes.lengthOf(node))
    .equals(LOST_AND_FOUND);
}

function count(census: Census, index: Index, facts: Facts, refuse: Refuse): void {
  const { kind, mtime, uid, gid } = facts;
  if (mtime < EARLIEST || mtime > LATEST) refuse(index, `its time ${mtime} is out of range`);
  if (uid > 0xffff_fffe || gid > 0xffff_fffe) refuse(index, 'the number of its owner or group is too large');
  census.describe(index, facts);
  let xattrBlock = false;
  if (facts.xattrs !== undefined) {
    const placed = placeXattrs(facts.xattrs, XATTR_ROOM);
    if (typeof placed === 'string') refuse(index, placed);
    else xattrBlock = placed.inBlock.length > 0;
  }
  if (kind === 'file') countFile(census, index, facts, xattrBlock, refuse);
  else if (kind === 'symlink') {
    const length = facts.size;
    if (length > BLOCK - 1) refuse(index, `its target has ${length} bytes, and ${BLOCK - 1} is the most`);
    if (length === 0) refuse(index, 'its target is empty');
    census.setContent(index, length > LONGEST_FAST_LINK ? 1 : 0, xattrBlock);
  } else {
    const device = kind === 'char' || kind === 'block';
    if (device && (facts.major > 0xfff || facts.minor > 0xfffff)) {
      refuse(index, `the device number ${facts.major}:${facts.minor} is too large`);
    }
    census.setContent(index, 0, xattrBlock);
  }
}

function countFile(
  census: Census,
  index: Index,
  { size, segments }: Facts,
  xattrBlock: boolean,
  refuse: Refuse,
): void {
  if (size > LARGEST_FILE) refuse(index, `its size is ${size} bytes, and ${LARGEST_FILE} is the most`);
  if (segments === undefined) {
    census.setContent(index, Math.ceil(size / BLOCK), xattrBlock);
    return;
  }
  const runs = runsOf(segments);
  const blocks = runs.reduce((sum, run) => sum + run.count, 0);
  const plain = runs.length === 0 || (runs.length === 1 && runs[0]?.logical === 0);
  census.setContent(index, blocks, xattrBlock, !plain);
}

function countNames(census: Census, refuse: Refuse): void {
  for (let index = 0, { length } = census; index < length; index++) {
    if (census.owner(index) !== index) continue;
    if (census.kind(index) === 'directory') {
      const { plan } = census.directory(index);
      if (typeof plan === 'string') refuse(index, plan);
      else census.setContent(index, plan.blocks, census.hasXattrBlock(index));
    } else if (census.links(index) > MOST_LINKS) {
      refuse(index, `it has ${census.links(index)} names, and ${MOST_LINKS} is the most`);
    }
  }
}

/** FNV-1a of a name (the bytes from `from` to `to`), going on from that of its directory. */
function hashOf(start: number, name: Uint8Array, from: number, to: number): number {
  let hash = Math.imul(start ^ 0x2f, 0x01000193);
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (name[i] ?? 0), 0x01000193);
  return hash >>> 0;
}
