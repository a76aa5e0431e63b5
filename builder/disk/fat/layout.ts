// Where the parts of a FAT filesystem are. Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.
import { Failure } from '../../../formats/errors.ts';

export const sectorSize = 512;
const mostRootEntries = 512;
/** Sectors are counted in 32 bits. */
const mostSectors = 0xffff_ffff;

export interface FatLayout {
  readonly type: 16 | 32;
  /** Sectors. */
  readonly sectors: number;
  readonly reserved: number;
  readonly perFat: number;
  /** FAT16 only: sectors of the root directory. */
  readonly root: number;
  readonly perCluster: number;
  /** Data clusters; their numbers begin at 2. */
  readonly clusters: number;
  /** Byte offset of cluster 2. */
  readonly data: number;
}

/** The layout for a size in bytes: FAT32 from 64 MiB on, FAT16 below. Refuses what neither can be. */
export function layOutFat(size: number, wanted?: 16 | 32): FatLayout {
  if (size % sectorSize !== 0) {
    throw new Failure('input', {
      what: `a FAT filesystem cannot have ${size} bytes`,
      why: `it is made of sectors of ${sectorSize} bytes`,
    });
  }
  const type = wanted ?? (size >= 64 * 1024 ** 2 ? 32 : 16);
  const sectors = size / sectorSize;
  // A cluster of 4 KiB where there is room for it, as fewer clusters make shorter tables.
  for (const perCluster of type === 32 ? [8, 4, 2, 1, 16, 32, 64] : [4, 2, 1, 8, 16, 32, 64]) {
    const layout = tryLayout(type, sectors, perCluster);
    const [least, most] = type === 32 ? [65_525, 0x0fff_fff4] : [4_085, 65_524];
    if (layout.clusters >= least && layout.clusters <= most && sectors <= mostSectors) return layout;
  }
  throw new Failure('input', {
    what: `a FAT${type} filesystem cannot have ${size} bytes`,
    why: type === 32 ? 'it needs about 33 MiB, and 2 TiB is the most' : 'it has from about 2 MiB to 2 GiB',
  });
}

function tryLayout(type: 16 | 32, sectors: number, perCluster: number): FatLayout {
  const reserved = type === 32 ? 32 : 4;
  const root = type === 32 ? 0 : (mostRootEntries * 32) / sectorSize;
  const entriesPerSector = (sectorSize * 8) / type;
  // The tables are as long as the clusters need that are left beside them.
  const perFat = Math.ceil(
    (sectors - reserved - root + 2 * perCluster) / (perCluster * entriesPerSector + 2),
  );
  const tables = reserved + 2 * perFat + root;
  // Clusters begin at a multiple of their size, for media that write larger blocks than sectors: the reserved sectors
  // take up the rest.
  const slack = (perCluster - (tables % perCluster)) % perCluster;
  const data = tables + slack;
  const clusters = Math.floor((sectors - data) / perCluster);
  return {
    type,
    sectors,
    reserved: reserved + slack,
    perFat,
    root,
    perCluster,
    clusters,
    data: data * sectorSize,
  };
}

/** Bytes of a cluster. */
export function clusterSize(layout: FatLayout): number {
  return layout.perCluster * sectorSize;
}

/** The boot sector, as it stands at the start (and, in FAT32, again in sector 6). */
export function bootSector(layout: FatLayout, label: string, serial: number): Buffer {
  const sector = Buffer.alloc(sectorSize);
  const wide = layout.type === 32;
  sector.set([0xeb, wide ? 0x58 : 0x3c, 0x90], 0);
  sector.write('EDGEKILN', 3, 'latin1');
  sector.writeUInt16LE(sectorSize, 11);
  sector.writeUInt8(layout.perCluster, 13);
  sector.writeUInt16LE(layout.reserved, 14);
  sector.writeUInt8(2, 16); // tables
  sector.writeUInt16LE(wide ? 0 : mostRootEntries, 17);
  const small = !wide && layout.sectors < 0x1_0000;
  sector.writeUInt16LE(small ? layout.sectors : 0, 19);
  sector.writeUInt8(0xf8, 21); // a fixed disk
  sector.writeUInt16LE(wide ? 0 : layout.perFat, 22);
  sector.writeUInt16LE(63, 24); // sectors of a track
  sector.writeUInt16LE(255, 26); // heads
  sector.writeUInt32LE(small ? 0 : layout.sectors, 32);
  if (wide) {
    sector.writeUInt32LE(layout.perFat, 36);
    sector.writeUInt32LE(2, 44); // cluster of the root directory
    sector.writeUInt16LE(1, 48); // sector of the free-space information
    sector.writeUInt16LE(6, 50); // sector of the copy of this one
  }
  const extended = wide ? 64 : 36;
  sector.writeUInt8(0x80, extended); // drive
  sector.writeUInt8(0x29, extended + 2); // the three fields below are there
  sector.writeUInt32LE(serial, extended + 3);
  sector.write(label.padEnd(11), extended + 7, 'latin1');
  sector.write(wide ? 'FAT32   ' : 'FAT16   ', extended + 18, 'latin1');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** FAT32's count of free clusters and the place to look for one; undefined if there is none. */
export function freeSpaceSector(free: number, next = 0xffff_ffff): Buffer {
  const sector = Buffer.alloc(sectorSize);
  sector.write('RRaA', 0, 'latin1');
  sector.write('rrAa', 484, 'latin1');
  sector.writeUInt32LE(free, 488);
  sector.writeUInt32LE(next, 492);
  sector.writeUInt32LE(0xaa55_0000, 508);
  return sector;
}

/** Reads a boot sector; a string says why it is none of FAT16 or FAT32. */
export function decodeBootSector(sector: Buffer): (FatLayout & { label: string; serial: number }) | string {
  if (sector.readUInt16LE(510) !== 0xaa55) return 'it has no boot sector';
  if (sector.readUInt16LE(11) !== sectorSize) return 'its sectors are not of 512 bytes';
  const perCluster = sector.readUInt8(13);
  const reserved = sector.readUInt16LE(14);
  const tables = sector.readUInt8(16);
  const root = (sector.readUInt16LE(17) * 32) / sectorSize;
  const sectors = sector.readUInt16LE(19) || sector.readUInt32LE(32);
  const wide = sector.readUInt16LE(22) === 0;
  const perFat = wide ? sector.readUInt32LE(36) : sector.readUInt16LE(22);
  const data = reserved + tables * perFat + root;
  if (perCluster === 0 || tables === 0 || perFat === 0 || sectors < data)
    return 'its boot sector makes no sense';
  const clusters = Math.floor((sectors - data) / perCluster);
  if (!wide && clusters < 4085) return 'it is a FAT12';
  const extended = wide ? 64 : 36;
  return {
    type: wide ? 32 : 16,
    sectors,
    reserved,
    perFat,
    root,
    perCluster,
    clusters,
    data: data * sectorSize,
    serial: sector.readUInt32LE(extended + 3),
    label: sector.toString('latin1', extended + 7, extended + 18).trimEnd(),
  };
}
