// Reads a GUID partition table: the first one, or its backup where the first is broken.
import { crc32 } from '../crc32.ts';
import { Image } from '../image.ts';
import { sectorSize } from './plan.ts';

/** What a table says of one partition. */
export interface GptEntry {
  /** From 1. */
  readonly number: number;
  readonly name: string;
  /** GUID of its type, lower case. */
  readonly type: string;
  readonly guid: string;
  /** Bytes. */
  readonly start: number;
  readonly size: number;
}

export interface Gpt {
  readonly diskGuid: string;
  readonly partitions: readonly GptEntry[];
  /** The table that was read: the first is broken where it is the backup. */
  readonly from: 'first' | 'backup';
}

const mostEntryBytes = 4 * 1024 * 1024;

/** The table of a disk; undefined if neither it nor its backup is whole. Refuses with Failure('io', …). */
export function readGpt(file: string): Gpt | undefined {
  const image = new Image(file);
  try {
    const last = Math.floor(image.size / sectorSize) - 1;
    return readTable(image, 1, 'first') ?? readTable(image, last, 'backup');
  } finally {
    image.close();
  }
}

function readTable(image: Image, sector: number, from: Gpt['from']): Gpt | undefined {
  if (sector < 1 || (sector + 1) * sectorSize > image.size) return undefined;
  const header = image.read(sector * sectorSize, sectorSize);
  const length = header.readUInt32LE(12);
  if (header.toString('latin1', 0, 8) !== 'EFI PART' || length < 92 || length > sectorSize) return undefined;
  const sum = header.readUInt32LE(16);
  const own = header.readBigUInt64LE(24);
  header.writeUInt32LE(0, 16);
  if (crc32(header.subarray(0, length)) !== sum || own !== BigInt(sector)) return undefined;
  const [count, size] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  const at = Number(header.readBigUInt64LE(72)) * sectorSize;
  if (size < 128 || count * size > mostEntryBytes || at + count * size > image.size) return undefined;
  const table = image.read(at, count * size);
  if (crc32(table) !== header.readUInt32LE(88)) return undefined;
  const partitions = Array.from({ length: count }, (_, index) =>
    decodeEntry(table.subarray(index * size, (index + 1) * size), index + 1),
  );
  return {
    diskGuid: guidText(header.subarray(56, 72)),
    partitions: partitions.filter((entry) => entry !== undefined),
    from,
  };
}

function decodeEntry(entry: Buffer, number: number): GptEntry | undefined {
  if (entry.subarray(0, 16).every((byte) => byte === 0)) return undefined;
  const start = Number(entry.readBigUInt64LE(32)) * sectorSize;
  const name = entry.toString('utf16le', 56, 128);
  const end = name.indexOf('\0');
  return {
    number,
    name: end < 0 ? name : name.slice(0, end),
    type: guidText(entry.subarray(0, 16)),
    guid: guidText(entry.subarray(16, 32)),
    start,
    size: (Number(entry.readBigUInt64LE(40)) + 1) * sectorSize - start,
  };
}

/** The first three groups are in little endian. */
function guidText(bytes: Buffer): string {
  const hex = (from: number, to: number, swapped: boolean): string => {
    const group = Buffer.from(bytes.subarray(from, to));
    return (swapped ? group.reverse() : group).toString('hex');
  };
  return [hex(0, 4, true), hex(4, 6, true), hex(6, 8, true), hex(8, 10, false), hex(10, 16, false)].join('-');
}
