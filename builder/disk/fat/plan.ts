// A FAT16 or FAT32 filesystem of a tree, for partitions that firmware and boot ROMs read.
//
// Limits: FAT16 from about 2 MiB to 2 GiB, FAT32 from about 33 MiB to 2 TiB; files and directories only, files under
// 4 GiB, directories of at most 65,536 entries of 32 bytes (FAT16's root: 512); names as FAT allows them, different
// without regard to capitals. Owners, modes and attributes are not kept. Times are UTC, in steps of two seconds, from
// 1980 to 2107: a system that takes them for local time shows them shifted.
import { Failure } from '../../../formats/errors.ts';
import type { Entry, EntrySource } from '../../tree/entry.ts';
import { Batch } from '../batch.ts';
import { appendContent } from '../content.ts';
import type { Volume } from '../volume.ts';
import { directoryBytes, type FatNode } from './directory.ts';
import { bootSector, clusterSize, type FatLayout, freeSpaceSector, layOutFat, sectorSize } from './layout.ts';
import { entrySize, folded, wrongLabel, wrongName } from './names.ts';

export interface FatOptions {
  /** Bytes, a multiple of 512. */
  readonly size: number;
  /** 1 to 11 capitals, digits, and blanks between them. */
  readonly label: string;
  /** The volume's serial number, 32 bits. */
  readonly serial: number;
  /** Left out: FAT32 from 64 MiB on, FAT16 below. */
  readonly type?: 16 | 32;
  /**
   * Files that have the blocks of this many bytes around them for themselves: what is overwritten in place must not
   * share a block of the medium with anything else. A power of two.
   */
  readonly alone?: { readonly paths: readonly string[]; readonly block: number };
}

export interface FatVolume extends Volume {
  /** Bytes that are free for files when written. */
  readonly free: number;
  /** Byte offset in the volume of a file's first byte; its bytes are in one piece. Unknown files are a bug. */
  startOf(path: string): number;
}

const mostBytes = 2 ** 32;
/** A directory holds no more. */
const mostEntries = 65_536;

/** Plans a filesystem. Refuses, by name, what FAT cannot hold, and a size that is too small, by how much. */
export function planFat(tree: EntrySource, options: FatOptions): FatVolume {
  const wrong = wrongLabel(options.label);
  if (wrong !== undefined) {
    throw new Failure('input', { what: `the label ${options.label} is not one of a FAT volume`, why: wrong });
  }
  const layout = layOutFat(options.size, options.type);
  const nodes = collect(tree, layout.type);
  const root = nodes[0];
  const end = allocate(nodes, layout, options);
  const used = end - 2;
  if (used > layout.clusters) {
    const missing = (used - layout.clusters) * clusterSize(layout);
    throw new Failure('input', {
      what: `the files do not fit into a FAT${layout.type} filesystem of ${options.size} bytes`,
      why: `${missing} bytes more are needed`,
    });
  }
  const mapped = { start: 0, end: layout.data + used * clusterSize(layout) };
  return {
    size: options.size,
    mapped: [mapped],
    free: (layout.clusters - used) * clusterSize(layout),
    startOf(path) {
      const node = nodes.find((one) => pathOf(one) === path);
      if (node === undefined || node.cluster === 0) throw new Error(`no bytes of ${path} are in this FAT`);
      return offsetOf(layout, node.cluster);
    },
    async write(output) {
      const batch = new Batch(output);
      try {
        writeHead(batch, layout, options, nodes, end);
        const put = async (node: FatNode, entry: Entry | undefined): Promise<void> => {
          if (node.cluster > 0) batch.zeros(offsetOf(layout, node.cluster));
          if (entry?.kind === 'file') await appendContent(batch, entry);
          else {
            const bytes = directoryBytes(node, layout.type, options.label);
            batch.append({ at: 'memory', bytes }, 0, bytes.length);
          }
        };
        // The root is first; FAT16's has a place of its own before the clusters.
        await put(root, undefined);
        let index = 0;
        for (const entry of tree.entries()) {
          const node = entry.path === '' ? undefined : nodes[++index];
          if (node !== undefined && node.cluster > 0) await put(node, entry);
        }
        batch.zeros(mapped.end);
        batch.end();
      } finally {
        batch.close();
      }
    },
  };
}

/** The tree as FAT sees it: the root first, parents before children. The bytes of files are left with the tree. */
function collect(tree: EntrySource, type: 16 | 32): [root: FatNode, ...FatNode[]] {
  const root: FatNode = {
    name: '',
    kind: 'directory',
    mtime: 0,
    size: 0,
    cluster: 0,
    children: [],
    parent: undefined,
  };
  const nodes: [FatNode, ...FatNode[]] = [root];
  const byPath = new Map([['', { node: root, names: new Set<string>() }]]);
  for (const entry of tree.entries()) {
    if (entry.path === '') {
      root.mtime = entry.mtime;
      continue;
    }
    const slash = entry.path.lastIndexOf('/');
    const parent = byPath.get(slash < 0 ? '' : entry.path.slice(0, slash));
    if (parent === undefined) throw new Error(`${entry.path} comes before its directory`);
    const node = nodeOf(entry, parent.node);
    const name = folded(node.name);
    if (parent.names.has(name)) throw refusal(entry.path, 'another name there differs in capitals only');
    parent.names.add(name);
    parent.node.children.push(node);
    nodes.push(node);
    if (node.kind === 'directory') byPath.set(entry.path, { node, names: new Set() });
  }
  for (const node of nodes) {
    if (node.kind !== 'directory') continue;
    node.size = directoryBytes(node, type, '').length;
    const more = node.size / entrySize - mostEntries;
    if (more > 0)
      throw refusal(pathOf(node), `a directory has ${mostEntries} entries, ${more} fewer than needed`);
  }
  return nodes;
}

function nodeOf(entry: Entry, parent: FatNode): FatNode {
  const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
  const wrong = wrongName(name);
  if (wrong !== undefined) throw refusal(entry.path, wrong);
  const { mtime, kind } = entry;
  if (kind === 'directory') return { name, kind, mtime, size: 0, cluster: 0, children: [], parent };
  if (kind !== 'file') throw refusal(entry.path, `FAT holds no ${kind}`);
  if (entry.size >= mostBytes)
    throw refusal(entry.path, `it has ${entry.size} bytes; FAT holds less than 4 GiB`);
  return { name, kind, mtime, size: entry.size, cluster: 0, children: none, parent };
}

const none: FatNode[] = [];

function pathOf(node: FatNode): string {
  const names: string[] = [];
  for (let at: FatNode = node; at.parent !== undefined; at = at.parent) names.push(at.name);
  return names.reverse().join('/');
}

/** Gives every node its clusters, in order; returns the number after the last. Empty files have none. */
function allocate(nodes: readonly FatNode[], layout: FatLayout, options: FatOptions): number {
  const unit = clusterSize(layout);
  const block = options.alone?.block ?? 1;
  const alone = new Set(options.alone?.paths);
  let next = 2;
  const align = (): void => {
    while (offsetOf(layout, next) % block !== 0) next++;
  };
  for (const node of nodes) {
    if (node.parent === undefined && layout.type === 16) {
      const room = layout.root * sectorSize;
      if (node.size > room)
        throw refusal(
          '',
          `the root of a FAT16 has ${room / entrySize} entries, ${(node.size - room) / entrySize} fewer than needed`,
        );
      continue;
    }
    const clusters = Math.ceil(node.size / unit);
    if (clusters === 0) continue;
    const apart = alone.size > 0 && alone.delete(pathOf(node));
    if (apart) align();
    node.cluster = next;
    next += clusters;
    if (apart) align();
  }
  const [missing] = alone;
  if (missing !== undefined)
    throw refusal(missing, 'it is to have blocks for itself, and no file of that name has any');
  return next;
}

function writeHead(
  batch: Batch,
  layout: FatLayout,
  options: FatOptions,
  nodes: readonly FatNode[],
  end: number,
): void {
  const boot = bootSector(layout, options.label, options.serial);
  const put = (bytes: Uint8Array): void => batch.append({ at: 'memory', bytes }, 0, bytes.length);
  put(boot);
  if (layout.type === 32) {
    const used = nodes.reduce((sum, node) => sum + Math.ceil(node.size / clusterSize(layout)), 0);
    const free = freeSpaceSector(layout.clusters - used, end < layout.clusters + 2 ? end : undefined);
    put(free);
    batch.zeros(6 * sectorSize);
    put(boot);
    put(free);
  }
  batch.zeros(layout.reserved * sectorSize);
  const table = encodeTable(layout, nodes, end);
  for (let copy = 1; copy <= 2; copy++) {
    put(table);
    batch.zeros((layout.reserved + copy * layout.perFat) * sectorSize);
  }
}

/** The table up to cluster `end` (exclusive); the rest of it is free, that is zero. */
function encodeTable(layout: FatLayout, nodes: readonly FatNode[], end: number): Buffer {
  const wide = layout.type === 32;
  const table = Buffer.alloc(end * (wide ? 4 : 2));
  const set = (cluster: number, value: number): void => {
    if (wide) table.writeUInt32LE(value, cluster * 4);
    else table.writeUInt16LE(value & 0xffff, cluster * 2);
  };
  const last = 0x0fff_ffff;
  set(0, 0x0fff_fff8);
  set(1, last);
  for (const { cluster, size } of nodes) {
    if (cluster === 0) continue;
    const final = cluster + Math.ceil(size / clusterSize(layout)) - 1;
    for (let number = cluster; number < final; number++) set(number, number + 1);
    set(final, last);
  }
  return table;
}

function offsetOf(layout: FatLayout, cluster: number): number {
  return layout.data + (cluster - 2) * clusterSize(layout);
}

function refusal(path: string, why: string): Failure {
  return new Failure('input', { what: `/${path} cannot be put into a FAT filesystem`, why });
}
