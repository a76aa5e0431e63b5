// A disk with a GUID partition table. Source: UEFI Specification 2.10, section 5.
//
// 512-byte sectors, 128 entries, the backup table in the last 33 sectors. All numbers are little endian.
import { Failure } from '../../../formats/errors.ts';
import { compose, type Piece, partitionPiece } from '../compose.ts';
import { crc32 } from '../crc32.ts';
import type { Volume } from '../volume.ts';
import { bytesVolume } from '../volumes.ts';

export const sectorSize = 512;
const entryCount = 128;
const entrySize = 128;
const tableSectors = (entryCount * entrySize) / sectorSize;
/** Protective MBR, header, table. */
const headSectors = 2 + tableSectors;

const types = {
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  linux: '0fc63daf-8483-4772-8e79-3d69d8477de4',
} as const;

export interface GptPartition {
  /** At most 36 UTF-16 units. */
  readonly name: string;
  readonly type: keyof typeof types;
  readonly guid: string;
  /** Bytes, multiples of 512. */
  readonly start: number;
  readonly size: number;
  readonly content?: Volume;
}

export interface GptOptions {
  /** Bytes of the disk, a multiple of 512. */
  readonly size: number;
  readonly diskGuid: string;
  /** In the order of their numbers, from 1. */
  readonly partitions: readonly GptPartition[];
  /** What stands outside of partitions, by byte offset. */
  readonly extra?: readonly Piece[];
}

/** Plans a whole disk. Refuses partitions that overlap, leave the disk, or are smaller than what is in them. */
export function planGpt(options: GptOptions): Volume {
  const { size, partitions, extra = [] } = options;
  if (partitions.length > entryCount)
    throw refusal(`partition ${partitions[entryCount]?.name}`, `a GPT has ${entryCount}`);
  if (size % sectorSize !== 0) throw refusal('a partition table', 'the disk does not end at a sector');
  const least = (headSectors + 1 + tableSectors + 1) * sectorSize;
  if (size < least) throw refusal('a partition table', `it takes ${least} bytes, and the disk has ${size}`);
  const guids = partitions.map(({ guid }) => guid.toLowerCase());
  const twice = partitions.find((_, index) => guids.indexOf(guids[index] ?? '') < index);
  if (twice !== undefined) throw refusal(`partition ${twice.name}`, `another one is ${twice.guid} as well`);
  const sectors = size / sectorSize;
  const lastUsable = sectors - tableSectors - 2;
  for (const partition of partitions) check(partition, lastUsable);
  const table = encodeTable(partitions);
  const head = Buffer.alloc(headSectors * sectorSize);
  protectiveMbr(sectors).copy(head);
  header(options, table, { own: 1, other: sectors - 1, table: 2 }).copy(head, sectorSize);
  table.copy(head, 2 * sectorSize);
  const tail = Buffer.concat([
    table,
    header(options, table, { own: sectors - 1, other: 1, table: sectors - 1 - tableSectors }),
  ]);
  return compose(size, [
    { name: 'partition table', at: 0, size: head.length, content: bytesVolume(head) },
    ...extra,
    ...partitions.map(partitionPiece),
    { name: 'backup partition table', at: size - tail.length, size: tail.length, content: bytesVolume(tail) },
  ]);
}

function check({ name, start, size }: GptPartition, lastUsable: number): void {
  if (name.length > 36) throw refusal(`partition ${name}`, 'its name is longer than 36 characters');
  if (start % sectorSize !== 0 || size % sectorSize !== 0 || size <= 0) {
    throw refusal(`partition ${name}`, 'it does not begin and end at a sector');
  }
  const over = (start + size) / sectorSize - 1 - lastUsable;
  if (start / sectorSize < headSectors)
    throw refusal(`partition ${name}`, 'it begins inside of the partition table');
  if (over > 0)
    throw refusal(`partition ${name}`, `it ends ${over * sectorSize} bytes behind the last usable sector`);
}

function encodeTable(partitions: readonly GptPartition[]): Buffer {
  const table = Buffer.alloc(entryCount * entrySize);
  for (const [index, { name, type, guid, start, size }] of partitions.entries()) {
    const entry = table.subarray(index * entrySize, (index + 1) * entrySize);
    guidBytes(types[type]).copy(entry, 0);
    guidBytes(guid).copy(entry, 16);
    entry.writeBigUInt64LE(BigInt(start / sectorSize), 32);
    entry.writeBigUInt64LE(BigInt((start + size) / sectorSize - 1), 40);
    entry.write(name, 56, 'utf16le');
  }
  return table;
}

function header(
  { size, diskGuid }: GptOptions,
  table: Buffer,
  place: { readonly own: number; readonly other: number; readonly table: number },
): Buffer {
  const sector = Buffer.alloc(sectorSize);
  sector.write('EFI PART', 0, 'latin1');
  sector.writeUInt32LE(0x0001_0000, 8); // revision 1.0
  sector.writeUInt32LE(92, 12); // size of this header
  sector.writeBigUInt64LE(BigInt(place.own), 24);
  sector.writeBigUInt64LE(BigInt(place.other), 32);
  sector.writeBigUInt64LE(BigInt(headSectors), 40); // first usable sector
  sector.writeBigUInt64LE(BigInt(size / sectorSize - tableSectors - 2), 48); // last usable sector
  guidBytes(diskGuid).copy(sector, 56);
  sector.writeBigUInt64LE(BigInt(place.table), 72);
  sector.writeUInt32LE(entryCount, 80);
  sector.writeUInt32LE(entrySize, 84);
  sector.writeUInt32LE(crc32(table), 88);
  sector.writeUInt32LE(crc32(sector.subarray(0, 92)), 16);
  return sector;
}

/** One entry of type 0xEE over the whole disk, so that old tools see it as full. */
function protectiveMbr(sectors: number): Buffer {
  const sector = Buffer.alloc(sectorSize);
  sector.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  sector.writeUInt32LE(1, 454);
  sector.writeUInt32LE(Math.min(sectors - 1, 0xffff_ffff), 458);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** GUIDs are stored with their first three groups in little endian. */
function guidBytes(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) throw new Error(`not a GUID: ${guid}`);
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function refusal(what: string, why: string): Failure {
  return new Failure('input', { what: `${what} cannot be put on the disk`, why });
}
