// A disk with an MBR partition table: boards whose boot ROM reads where a GPT would be.
//
// 512-byte sectors, at most four primary partitions, at most 2 TiB. All numbers are little endian.
import { Failure } from '../../../formats/errors.ts';
import { compose, type Piece, partitionPiece } from '../compose.ts';
import type { Volume } from '../volume.ts';
import { bytesVolume } from '../volumes.ts';

export const sectorSize = 512;
export const tableAt = 446;

const types = { fat: 0x0c, linux: 0x83 } as const;

export interface MbrPartition {
  /** For messages; the table holds no names. */
  readonly name: string;
  readonly type: keyof typeof types;
  readonly bootable?: boolean;
  /** Bytes, multiples of 512. */
  readonly start: number;
  readonly size: number;
  readonly content?: Volume;
}

export interface MbrOptions {
  /** Bytes of the disk, a multiple of 512. */
  readonly size: number;
  /** 32 bits. */
  readonly diskId: number;
  /** In the order of their numbers, from 1. */
  readonly partitions: readonly MbrPartition[];
  /** What stands outside of partitions, such as a bootloader at 8 KiB. */
  readonly extra?: readonly Piece[];
}

/** Plans a whole disk. Refuses partitions that overlap, leave the disk, or are smaller than what is in them. */
export function planMbr({ size, diskId, partitions, extra = [] }: MbrOptions): Volume {
  if (size % sectorSize !== 0) throw refusal('a partition table', 'the disk does not end at a sector');
  if (partitions.length > 4) throw refusal('a fifth partition', 'an MBR has four');
  const sector = Buffer.alloc(sectorSize);
  sector.writeUInt32LE(diskId >>> 0, 440);
  for (const [index, partition] of partitions.entries()) {
    const { name, type, bootable, start, size: length } = partition;
    if (start % sectorSize !== 0 || length % sectorSize !== 0 || length <= 0) {
      throw refusal(`partition ${name}`, 'it does not begin and end at a sector');
    }
    const first = start / sectorSize;
    const count = length / sectorSize;
    if (first + count > 0xffff_ffff) throw refusal(`partition ${name}`, 'an MBR reaches to 2 TiB');
    const entry = sector.subarray(tableAt + 16 * index, tableAt + 16 * (index + 1));
    entry.writeUInt8(bootable === true ? 0x80 : 0, 0);
    cylinders(first).copy(entry, 1);
    entry.writeUInt8(types[type], 4);
    cylinders(first + count - 1).copy(entry, 5);
    entry.writeUInt32LE(first, 8);
    entry.writeUInt32LE(count, 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return compose(size, [
    { name: 'partition table', at: 0, size: sectorSize, content: bytesVolume(sector) },
    ...extra,
    ...partitions.map(partitionPiece),
  ]);
}

/** The old address of a sector, by 255 heads and 63 sectors; what lies behind its reach is 1023/254/63. */
function cylinders(sector: number): Buffer {
  const cylinder = Math.floor(sector / (255 * 63));
  if (cylinder > 1023) return Buffer.from([0xfe, 0xff, 0xff]);
  const head = Math.floor(sector / 63) % 255;
  return Buffer.from([head, ((sector % 63) + 1) | ((cylinder >> 2) & 0xc0), cylinder & 0xff]);
}

function refusal(what: string, why: string): Failure {
  return new Failure('input', { what: `${what} cannot be put on the disk`, why });
}
