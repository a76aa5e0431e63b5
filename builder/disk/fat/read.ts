// Reads a FAT16 or FAT32 filesystem in a file: what `planFat` wrote, and others of 512-byte sectors.
import { type Entry, type EntrySource, lengthOf, type Segment } from '../../tree/entry.ts';
import { Image } from '../image.ts';
import { type FatName, readDirectory } from './directory.ts';
import { clusterSize, decodeBootSector, type FatLayout, sectorSize } from './layout.ts';
import { folded } from './names.ts';

/** Opens a filesystem that starts at byte `offset` of a file. Refuses with Failure('unsupported' or 'io', …). */
export function openFat(file: string, offset = 0): FatReader {
  return new FatReader(new Image(file, offset));
}

/** What is not kept has a value all the same: owner root, mode 0755. */
const unkept = { mode: 0o755, uid: 0, gid: 0 } as const;

export class FatReader implements EntrySource {
  readonly type: 16 | 32;
  readonly label: string;
  /** 32 bits. */
  readonly serial: number;
  readonly #image: Image;
  readonly #layout: FatLayout;
  readonly #rootCluster: number;
  readonly #table: Buffer;

  constructor(image: Image) {
    this.#image = image;
    try {
      const sector = image.read(0, sectorSize);
      const boot = decodeBootSector(sector);
      if (typeof boot === 'string') throw image.refusal('not a FAT filesystem that can be read', boot);
      this.#layout = boot;
      this.#rootCluster = boot.type === 32 ? sector.readUInt32LE(44) : 0;
      // No more of the table than there are clusters.
      this.#table = image.read(boot.reserved * sectorSize, (boot.clusters + 2) * (boot.type === 32 ? 4 : 2));
      this.type = boot.type;
      this.label = boot.label;
      this.serial = boot.serial;
    } catch (error) {
      image.close();
      throw error;
    }
  }

  close(): void {
    this.#image.close();
  }

  /** All entries: parents before children, siblings in the order of the directory. */
  *entries(): Generator<Entry> {
    yield { ...unkept, path: '', kind: 'directory', mtime: 0 };
    yield* this.#below('', this.#rootCluster, new Set());
  }

  /** The entry at a path, without regard to capitals; undefined if there is none. */
  stat(path: string): Entry | undefined {
    let entry: Entry = { ...unkept, path: '', kind: 'directory', mtime: 0 };
    let cluster = this.#rootCluster;
    for (const part of path.split('/').filter((name) => name !== '')) {
      if (entry.kind !== 'directory') return undefined;
      const found = this.#names(cluster).find(({ name }) => folded(name) === folded(part));
      if (found === undefined) return undefined;
      entry = this.#entry(entry.path === '' ? found.name : `${entry.path}/${found.name}`, found);
      cluster = found.cluster;
    }
    return entry;
  }

  /** Up to `length` bytes of a file, by path or entry, from `start` on. */
  read(file: string | Entry, start = 0, length = Number.POSITIVE_INFINITY): Buffer {
    const entry = typeof file === 'string' ? this.stat(file) : file;
    if (entry?.kind !== 'file') throw this.#image.refusal('it cannot be read', 'it is not a file');
    return this.#image.content(entry, start, length);
  }

  *#below(folder: string, cluster: number, met: Set<number>): Generator<Entry> {
    if (met.size === met.add(cluster).size)
      throw this.#image.refusal(`/${folder} cannot be read`, 'it is somewhere else as well');
    for (const found of this.#names(cluster)) {
      const path = folder === '' ? found.name : `${folder}/${found.name}`;
      yield this.#entry(path, found);
      if (found.kind === 'directory') yield* this.#below(path, found.cluster, met);
    }
  }

  #entry(path: string, { kind, cluster, size, mtime }: FatName): Entry {
    if (kind === 'directory') return { ...unkept, path, kind, mtime };
    return { ...unkept, mode: 0o644, path, kind, mtime, size, segments: this.#segments(path, cluster, size) };
  }

  #names(cluster: number): FatName[] {
    const { root, data, type } = this.#layout;
    const bytes =
      type === 16 && cluster === 0
        ? this.#image.read(data - root * sectorSize, root * sectorSize)
        : Buffer.concat(this.#runs('', cluster).map(({ at, length }) => this.#image.read(at, length)));
    return [...readDirectory(bytes, type)];
  }

  #segments(path: string, cluster: number, size: number): Segment[] {
    const segments: Segment[] = [];
    let offset = 0;
    for (const { at, length } of size === 0 ? [] : this.#runs(path, cluster)) {
      const part = Math.min(length, size - offset);
      if (part <= 0) break;
      const { file, offset: base } = this.#image;
      segments.push({ offset, bytes: { at: 'file', file, offset: base + at, length: part } });
      offset += part;
    }
    const last = segments.at(-1);
    if (last === undefined ? size > 0 : last.offset + lengthOf(last.bytes) < size)
      throw this.#image.refusal(`/${path} cannot be read`, 'its clusters end before its bytes');
    return segments;
  }

  /** Where the clusters of a chain are, those that touch made one. */
  #runs(path: string, first: number): { at: number; length: number }[] {
    const { data, clusters, type } = this.#layout;
    const unit = clusterSize(this.#layout);
    const runs: { at: number; length: number }[] = [];
    let steps = 0;
    for (let cluster = first; cluster < (type === 32 ? 0x0fff_fff8 : 0xfff8); ) {
      if (cluster < 2 || cluster >= clusters + 2 || ++steps > clusters)
        throw this.#image.refusal(`/${path} cannot be read`, `its chain of clusters leads to ${cluster}`);
      const at = data + (cluster - 2) * unit;
      const last = runs.at(-1);
      if (last !== undefined && last.at + last.length === at) last.length += unit;
      else runs.push({ at, length: unit });
      cluster =
        type === 32
          ? this.#table.readUInt32LE(cluster * 4) & 0x0fff_ffff
          : this.#table.readUInt16LE(cluster * 2);
    }
    return runs;
  }
}
