// Headers of a tar file: where they are, and the fields of one.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';
import { Windows } from './ahead.ts';
import { nameFromBytes } from './entry.ts';

export const BLOCK = 512;
/** Headers of small files come many to a window; larger contents are stepped over, with reads of so many bytes. */
const STEP = 4096;
/** What lies so near behind a window is worth another one. */
const NEAR = 16 * 1024;
/** A pax header, long name or sparse map larger than this is not believed. */
const LARGEST_HEADER = 16 * 1024 * 1024;
/** The first four letters of "ustar". */
const USTA = 0x75737461;

/** The fields of one header, in an object that is filled again and again. */
export class Header {
  name = '';
  target = '';
  type = '';
  mode = 0;
  uid = 0;
  gid = 0;
  size = 0;
  mtime = 0;
  major = 0;
  minor = 0;
}

/** Fills a header with the one at a place; false where the archive ends. */
export function readHeader(reader: TarReader, at: number, header: Header): boolean {
  if (at >= reader.size) refuseWithoutEnd(reader, at);
  const start = reader.locate(at);
  const { bytes } = reader;
  if (bytes[start] === 0 && isZero(reader, at)) {
    // As GNU tar, one block of zeros is enough at the end of a file; with more behind it, that would be lost.
    const next = at + BLOCK;
    if (next + BLOCK <= reader.size && !isZero(reader, next))
      reader.refuse(next, 'there is more behind a single block of zeros, which is not the end of an archive');
    return false;
  }
  if (!isSumRight(reader, at)) reader.refuse(at, 'the checksum of a header is wrong');
  const ustar = bytes.readUInt32BE(start + 257) === USTA && bytes[start + 261] === 0x72;
  const prefix = ustar && bytes[start + 263] === 0x30 ? text(bytes, start + 345, start + 500) : '';
  const name = text(bytes, start, start + 100);
  const type = bytes[start + 156] || 0x30;
  // Devices only, '3' and '4', have numbers.
  const numbered = ustar && (type === 0x33 || type === 0x34);
  header.name = prefix === '' ? name : `${prefix}/${name}`;
  header.target = text(bytes, start + 157, start + 257);
  header.type = String.fromCharCode(type);
  header.mode = number(bytes, start + 100, 8) & 0o7777;
  header.uid = number(bytes, start + 108, 8);
  header.gid = number(bytes, start + 116, 8);
  header.size = number(bytes, start + 124, 12);
  header.mtime = number(bytes, start + 136, 12);
  header.major = numbered ? number(bytes, start + 329, 8) : 0;
  header.minor = numbered ? number(bytes, start + 337, 8) : 0;
  // Below zero the next header would be sought before this one, again and again.
  if (header.size < 0) reader.refuse(at, `a header says a size of ${header.size} bytes`);
  return true;
}

/** Cut where a member begins it looks whole: other programs take it, and what was behind is lost in silence. */
function refuseWithoutEnd(reader: TarReader, at: number): never {
  // The last member may lack what fills its last block, not more.
  if (at - BLOCK >= reader.size) reader.refuse(reader.size, 'the archive ends within a member');
  const fix = 'get it again, or, if its writer leaves the end out: head -c 1024 /dev/zero >> FILE';
  reader.refuse(reader.size, 'it has no end (blocks of zeros): it was cut', fix);
}

/** Refuses numbers that no file has: base 256 and extended headers can say them, and they would become others. */
export function checkNumbers(reader: TarReader, at: number, header: Header): void {
  const { name, uid, gid, major, minor, mtime } = header;
  const isWord = uid >>> 0 === uid && gid >>> 0 === gid && major >>> 0 === major && minor >>> 0 === minor;
  if (!isWord) {
    const numbers = `owner ${uid}, group ${gid}, device ${major}:${minor}`;
    reader.refuse(at, `a number of ${name} is out of range: ${numbers}`);
  }
  if (!Number.isSafeInteger(mtime)) reader.refuse(at, `the time ${mtime} of ${name} is out of range`);
}

/** What a place in an archive may be. */
export function whatIsAt(reader: TarReader, at: number): 'header' | 'end' | 'bytes' {
  if (at + BLOCK > reader.size || isZero(reader, at)) return 'end';
  return isSumRight(reader, at) ? 'header' : 'bytes';
}

function isZero(reader: TarReader, at: number): boolean {
  return reader.block(at).every((byte) => byte === 0);
}

/** The sum of all bytes, its own field taken for blanks. */
function isSumRight(reader: TarReader, at: number): boolean {
  const start = reader.locate(at);
  const { bytes } = reader;
  const said = number(bytes, start + 148, 8);
  let sum = reader.sum(start) + 8 * 0x20;
  for (let i = start + 148; i < start + 156; i++) sum -= bytes[i] ?? 0;
  if (said === sum) return true;
  // Old writers took bytes for signed.
  const negative = reader.block(at).filter((byte, i) => byte > 127 && (i < 148 || i > 155)).length;
  return said === sum - 256 * negative;
}

/** The text of a field: up to its first NUL. */
function text(block: Buffer, start: number, limit: number): string {
  let end = start;
  let bits = 0;
  for (let byte = block[end] ?? 0; end < limit && byte !== 0; byte = block[++end] ?? 0) bits |= byte;
  if (end === start) return '';
  return bits < 0x80 ? block.toString('latin1', start, end) : nameFromBytes(block.subarray(start, end));
}

/** A number of a header: octal digits, or base 256 with the highest bit set. */
export function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if (first < 0x80) {
    let value = 0;
    for (let i = start; i < start + length; i++) {
      const digit = (block[i] ?? 0) - 0x30;
      if (digit >= 0 && digit < 8) value = value * 8 + digit;
      else if (value > 0 || digit === -0x30) break;
    }
    return value;
  }
  let value = first === 0xff ? -1 : first & 0x7f;
  for (let i = start + 1; i < start + length; i++) value = value * 256 + (block[i] ?? 0);
  return value;
}

export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

export function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Positional reads of blocks. */
export class TarReader {
  readonly file: string;
  readonly size: number;
  /** What was read last, a window or a step: the block that `locate` found is in it, until the next call. */
  bytes: Buffer;
  readonly #fd: number;
  readonly #windows = new Windows();
  readonly #step = Buffer.allocUnsafeSlow(STEP);
  readonly #stepWords = new Uint32Array(this.#step.buffer);
  #words: Uint32Array = this.#stepWords;
  #start = 0;
  #end = 0;

  constructor(file: string) {
    this.file = file;
    this.bytes = this.#step;
    try {
      this.#fd = openSync(file, 'r');
      this.size = fstatSync(this.#fd).size;
    } catch (error) {
      throw new Failure('io', { what: 'a tar file cannot be read', where: file, why: String(error) }, error);
    }
  }

  close(): void {
    this.#windows.drop();
    closeSync(this.#fd);
  }

  /** Where in `bytes` the block at a place of the file is. */
  locate(at: number): number {
    if (at < this.#start || at + BLOCK > this.#end) {
      if (at >= this.#start && at < this.#end + NEAR) this.#turn(at);
      else {
        this.bytes = this.#step;
        this.#words = this.#stepWords;
        this.#start = at;
        this.#end = at + readSync(this.#fd, this.#step, 0, STEP, at);
      }
      if (this.#end < at + BLOCK) this.refuse(at, 'the archive ends within a header');
    }
    return at - this.#start;
  }

  /** One block; the bytes are valid until the next call. */
  block(at: number): Buffer {
    const start = this.locate(at);
    return this.bytes.subarray(start, start + BLOCK);
  }

  #turn(at: number): void {
    const windows = this.#windows;
    windows.turn(this.#fd, at, windows.end === this.#end);
    this.bytes = windows.bytes;
    this.#words = windows.words;
    this.#start = windows.start;
    this.#end = windows.end;
  }

  /** The sum of all bytes of the block that `locate` found there. */
  sum(start: number): number {
    const words = this.#words;
    const first = start / 4;
    // Four bytes at a time, as two sums of 16 bits: 256 bytes each, at most 65,280.
    let sums = 0;
    for (let i = first; i < first + BLOCK / 4; i += 2) {
      const one = words[i] ?? 0;
      const two = words[i + 1] ?? 0;
      sums += (one & 0x00ff00ff) + ((one >>> 8) & 0x00ff00ff);
      sums += (two & 0x00ff00ff) + ((two >>> 8) & 0x00ff00ff);
    }
    return (sums % 0x1_0000) + Math.floor(sums / 0x1_0000);
  }

  /** The whole of a small member, a copy. */
  small(at: number, size: number, header: number): Buffer {
    if (size > LARGEST_HEADER) this.refuse(header, `an extended header of ${size} bytes is too large`);
    const bytes = Buffer.allocUnsafe(size);
    // Mostly it is read already, with the header before it.
    if (at >= this.#start && at + size <= this.#end) {
      this.bytes.copy(bytes, 0, at - this.#start, at - this.#start + size);
      return bytes;
    }
    if (readSync(this.#fd, bytes, 0, size, at) < size)
      this.refuse(header, 'the archive ends within a header');
    return bytes;
  }

  refuse(at: number, why: string, fix?: string): never {
    throw new Failure('input', {
      what: `not a tar file that can be used: ${why}`,
      where: `${this.file} at byte ${at}`,
      ...(fix === undefined ? {} : { fix }),
    });
  }
}
