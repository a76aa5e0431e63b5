// Reads an MBR partition table: its four primary partitions.
import { Image } from '../image.ts';
import { sectorSize, tableAt } from './plan.ts';

/** What a table says of one partition. */
export interface MbrEntry {
  /** 1 to 4. */
  readonly number: number;
  /** 0xEE means: see the GPT. */
  readonly type: number;
  readonly bootable: boolean;
  /** Bytes. */
  readonly start: number;
  readonly size: number;
}

export interface Mbr {
  /** 32 bits. */
  readonly diskId: number;
  readonly partitions: readonly MbrEntry[];
}

/** The table of a disk; undefined if there is none. Refuses with Failure('io', …). */
export function readMbr(file: string): Mbr | undefined {
  const image = new Image(file);
  try {
    if (image.size < sectorSize) return undefined;
    const sector = image.read(0, sectorSize);
    if (sector.readUInt16LE(510) !== 0xaa55) return undefined;
    const entries = [0, 1, 2, 3].map((index) =>
      sector.subarray(tableAt + 16 * index, tableAt + 16 * (index + 1)),
    );
    // A boot sector of a filesystem has the same signature: code where a table would be.
    if (entries.some((entry) => (entry.readUInt8(0) & 0x7f) !== 0)) return undefined;
    return {
      diskId: sector.readUInt32LE(440),
      partitions: entries
        .map((entry, index) => ({
          number: index + 1,
          type: entry.readUInt8(4),
          bootable: entry.readUInt8(0) === 0x80,
          start: entry.readUInt32LE(8) * sectorSize,
          size: entry.readUInt32LE(12) * sectorSize,
        }))
        .filter(({ type }) => type !== 0),
    };
  } finally {
    image.close();
  }
}
