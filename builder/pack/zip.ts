// The frame of a zip file around data that is deflated already. Source: PKWARE, APPNOTE.TXT 6.3.10.
//
// Sizes, checksums and offsets from 4 GiB on are given in zip64 fields. All numbers are little endian. yazl, which
// writes zips elsewhere, deflates by itself and in one thread.

/** One file of a zip. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes as they are, and as they are stored. */
  readonly size: number;
  readonly compressedSize: number;
  /** CRC-32 of the bytes as they are. */
  readonly crc: number;
  readonly deflated: boolean;
  /** Where its local header begins in the zip. */
  readonly at: number;
}

const wide = 0xffff_ffff;

/** The header before an entry's data. Its length depends on the name and `size` only, so room can be left for it. */
export function localHeader(entry: ZipEntry, seconds: number): Buffer {
  const name = Buffer.from(entry.name, 'utf8');
  const large = isLarge(entry);
  const extra = large ? zip64Extra([entry.size, entry.compressedSize]) : Buffer.alloc(0);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x0403_4b50, 0);
  facts(entry, seconds, large).copy(header, 4);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

/** What stands behind the last entry's data: the directory and the records that end a zip. `at` is where it begins. */
export function directory(entries: readonly ZipEntry[], at: number, seconds: number): Buffer {
  const headers = entries.map((entry) => directoryHeader(entry, seconds));
  const size = headers.reduce((sum, header) => sum + header.length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x0605_4b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(Math.min(at, wide), 16);
  const large = at >= wide ? [zip64End(entries.length, size, at)] : [];
  return Buffer.concat([...headers, ...large, end]);
}

function directoryHeader(entry: ZipEntry, seconds: number): Buffer {
  const name = Buffer.from(entry.name, 'utf8');
  const large = isLarge(entry);
  const far = entry.at >= wide;
  const numbers = [...(large ? [entry.size, entry.compressedSize] : []), ...(far ? [entry.at] : [])];
  const extra = numbers.length === 0 ? Buffer.alloc(0) : zip64Extra(numbers);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x0201_4b50, 0);
  header.writeUInt16LE((3 << 8) | 45, 4); // made by: Unix, version 4.5
  facts(entry, seconds, large || far).copy(header, 6);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE((0o100644 << 16) >>> 0, 38); // mode of the file
  header.writeUInt32LE(far ? wide : entry.at, 42);
  return Buffer.concat([header, name, extra]);
}

/** The 22 bytes that both headers have alike: version, flags, method, time, checksum, sizes. */
function facts(entry: ZipEntry, seconds: number, large: boolean): Buffer {
  const bytes = Buffer.alloc(22);
  bytes.writeUInt16LE(large ? 45 : 20, 0); // version that is needed
  bytes.writeUInt16LE(0x0800, 2); // the name is UTF-8
  bytes.writeUInt16LE(entry.deflated ? 8 : 0, 4);
  bytes.writeUInt32LE(dosTime(seconds), 6);
  bytes.writeUInt32LE(entry.crc, 10);
  bytes.writeUInt32LE(isLarge(entry) ? wide : entry.compressedSize, 14);
  bytes.writeUInt32LE(isLarge(entry) ? wide : entry.size, 18);
  return bytes;
}

/** Deflate grows nothing by as much as an eighth, so the plain size decides before the other is known. */
function isLarge({ size }: ZipEntry): boolean {
  return size >= wide / 2;
}

function zip64Extra(numbers: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * numbers.length);
  extra.writeUInt16LE(0x0001, 0);
  extra.writeUInt16LE(8 * numbers.length, 2);
  for (const [index, number] of numbers.entries()) extra.writeBigUInt64LE(BigInt(number), 4 + 8 * index);
  return extra;
}

/** The zip64 end record and its locator. */
function zip64End(count: number, size: number, at: number): Buffer {
  const bytes = Buffer.alloc(56 + 20);
  bytes.writeUInt32LE(0x0606_4b50, 0);
  bytes.writeBigUInt64LE(44n, 4); // bytes of this record that follow
  bytes.writeUInt16LE((3 << 8) | 45, 12);
  bytes.writeUInt16LE(45, 14);
  bytes.writeBigUInt64LE(BigInt(count), 24);
  bytes.writeBigUInt64LE(BigInt(count), 32);
  bytes.writeBigUInt64LE(BigInt(size), 40);
  bytes.writeBigUInt64LE(BigInt(at), 48);
  bytes.writeUInt32LE(0x0706_4b50, 56);
  bytes.writeBigUInt64LE(BigInt(at + size), 64);
  bytes.writeUInt32LE(1, 72); // disks
  return bytes;
}

/** Date and time as MS-DOS packs them, in UTC; years before 1980 become 1980. */
function dosTime(seconds: number): number {
  const moment = new Date(Math.max(seconds, Date.UTC(1980, 0, 1) / 1000) * 1000);
  const date =
    ((moment.getUTCFullYear() - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate();
  const time = (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1);
  return ((date << 16) | time) >>> 0;
}
