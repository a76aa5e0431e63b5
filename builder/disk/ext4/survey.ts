// Goes through a tree once: counts what it takes, and finds everything that ext4 cannot hold.
import { Failure, type Problem } from '../../../formats/errors.ts';
import { type Entry, type EntrySource, lengthOf, nameToBytes, type Segment } from '../../tree/entry.ts';
import { Census, type Index } from './census.ts';
import type { LogicalRun } from './extents.ts';
import { EARLIEST, LATEST, LONGEST_FAST_LINK, MOST_LINKS, XATTR_ROOM } from './inodes.ts';
import { BLOCK } from './layout.ts';
import { placeXattrs } from './xattrs.ts';

const MOST_PROBLEMS = 20;
const LOST_AND_FOUND = 'lost+found';
/** Blocks of a file are counted in 32 bits. */
const LARGEST_FILE = (0xffff_ffff - 1) * BLOCK;
/** Where hashes of paths start. */
const SEED = 0x811c9dc5;

type Refuse = (path: string, why: string) => void;
type Inoded = Exclude<Entry, { kind: 'hardlink' }>;

/** Counts a tree. Refuses with Failure('input', …), naming up to 20 entries that ext4 cannot hold. */
export function takeCensus(source: EntrySource, time: number, seed: readonly number[]): Census {
  const census = new Census(seed);
  const problems: Problem[] = [];
  const refuse: Refuse = (path, why) => {
    problems.push({ what: `/${path} does not fit into ext4`, why });
    if (problems.length === MOST_PROBLEMS) throw new Failure('input', problems);
  };
  const links = addEntries(census, source, time, refuse);
  if (census.length === 0) throw new Error('a tree has no root directory');
  resolveLinks(census, links);
  census.gather();
  countNames(census, refuse);
  if (problems.length > 0) throw new Failure('input', problems);
  return census;
}

interface Link {
  readonly index: Index;
  readonly target: string;
}

function addEntries(census: Census, source: EntrySource, time: number, refuse: Refuse): Link[] {
  /** The directories that the next entry may be in, the deepest last. */
  const ways: { prefix: string; index: Index; hash: number }[] = [];
  const links: Link[] = [];
  for (const entry of withLostAndFound(source, time)) {
    let way = ways.at(-1);
    while (way !== undefined && !entry.path.startsWith(way.prefix)) {
      ways.pop();
      way = ways.at(-1);
    }
    if ((way === undefined) !== (entry.path === '')) throw new Error(`/${entry.path} comes before the root`);
    const text = way === undefined ? '' : entry.path.slice(way.prefix.length);
    if (text.includes('/')) throw new Error(`/${entry.path} comes before its directory`);
    const name = nameToBytes(text);
    if (name.length > 255) refuse(entry.path, `its name has ${name.length} bytes, and 255 is the most`);
    const hash = hashOf(way?.hash ?? SEED, name);
    const index = census.add(way?.index ?? 0, name, entry.kind === 'hardlink' ? 'file' : entry.kind, hash);
    if (entry.kind === 'hardlink') links.push({ index, target: entry.target });
    else count(census, index, entry, refuse);
    if (entry.kind === 'directory')
      ways.push({ prefix: entry.path === '' ? '' : `${entry.path}/`, index, hash });
  }
  return links;
}

/** The entries of a tree with lost+found, which e2fsck wants, right after the root directory. */
function* withLostAndFound(source: EntrySource, time: number): Generator<Entry> {
  for (const entry of source.entries()) {
    if (entry.path === LOST_AND_FOUND && entry.kind === 'directory') continue;
    yield entry;
    if (entry.path !== '') continue;
    yield { path: LOST_AND_FOUND, kind: 'directory', mode: 0o700, uid: 0, gid: 0, mtime: time };
  }
}

function count(census: Census, index: Index, entry: Inoded, refuse: Refuse): void {
  const { path } = entry;
  if (entry.mtime < EARLIEST || entry.mtime > LATEST) refuse(path, `its time ${entry.mtime} is out of range`);
  if (entry.uid > 0xffff_fffe || entry.gid > 0xffff_fffe) {
    refuse(path, 'the number of its owner or group is too large');
  }
  census.describe(index, entry);
  let xattrBlock = false;
  if (entry.xattrs !== undefined) {
    const placed = placeXattrs(entry.xattrs, XATTR_ROOM);
    if (typeof placed === 'string') refuse(path, placed);
    else xattrBlock = placed.inBlock.length > 0;
  }
  if (entry.kind === 'file') countFile(census, index, entry, xattrBlock, refuse);
  else if (entry.kind === 'symlink') {
    const length = census.size(index);
    if (length > BLOCK - 1) refuse(path, `its target has ${length} bytes, and ${BLOCK - 1} is the most`);
    if (length === 0) refuse(path, 'its target is empty');
    census.setContent(index, length > LONGEST_FAST_LINK ? 1 : 0, xattrBlock);
  } else {
    const device = entry.kind === 'char' || entry.kind === 'block';
    if (device && (entry.major > 0xfff || entry.minor > 0xfffff)) {
      refuse(path, `the device number ${entry.major}:${entry.minor} is too large`);
    }
    census.setContent(index, 0, xattrBlock);
  }
}

function countFile(
  census: Census,
  index: Index,
  { path, size, segments }: Entry & { kind: 'file' },
  xattrBlock: boolean,
  refuse: Refuse,
): void {
  if (size > LARGEST_FILE) refuse(path, `its size is ${size} bytes, and ${LARGEST_FILE} is the most`);
  const only = segments[0];
  if (segments.length === 1 && only?.offset === 0) {
    census.setContent(index, Math.ceil(lengthOf(only.bytes) / BLOCK), xattrBlock);
    return;
  }
  const runs = runsOf(segments, path);
  const blocks = runs.reduce((sum, run) => sum + run.count, 0);
  const plain = runs.length === 0 || (runs.length === 1 && runs[0]?.logical === 0);
  census.setContent(index, blocks, xattrBlock, plain ? undefined : runs);
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
function resolveLinks(census: Census, links: readonly Link[]): void {
  if (links.length === 0) return;
  const wanted = new Map<number, Set<string>>();
  for (const { target } of links) {
    const hash = pathHash(target);
    wanted.set(hash, (wanted.get(hash) ?? new Set()).add(target));
  }
  const found = new Map<string, Index>();
  for (let index = 0; index < census.length; index++) {
    for (const target of wanted.get(census.hash(index)) ?? []) {
      if (isPath(census, index, target)) found.set(target, index);
    }
  }
  for (const { index, target } of links) {
    const owner = found.get(target);
    if (owner === undefined || owner >= index) throw new Error(`a hard link to /${target} comes before it`);
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

function countNames(census: Census, refuse: Refuse): void {
  for (let index = 0; index < census.length; index++) {
    if (census.owner(index) !== index) continue;
    if (census.kind(index) === 'directory') {
      const { plan } = census.directory(index);
      if (typeof plan === 'string') refuse(census.path(index), plan);
      else census.setContent(index, plan.blocks, census.hasXattrBlock(index));
    } else if (census.links(index) > MOST_LINKS) {
      refuse(census.path(index), `it has ${census.links(index)} names, and ${MOST_LINKS} is the most`);
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
  let hash = hashOf(SEED, new Uint8Array(0));
  for (const part of path.split('/')) hash = hashOf(hash, nameToBytes(part));
  return hash;
}
