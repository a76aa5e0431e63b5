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

export interface Header {
  readonly name: string;
  readonly target: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  readonly block: Buffer;
}

export function readHeader(reader: TarReader, at: number): Header | undefined {
  if (at >= reader.size) return undefined;
  const block = reader.block(at);
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  if (!isSumRight(reader, at, block)) reader.refuse(at, 'the checksum of a header is wrong');
  const ustar = block.readUInt32BE(257) === USTA && block[261] === 0x72;
  const prefix = ustar && block[263] === 0x30 ? text(block, 345, 500) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    target: text(block, 157, 257),
    type: String.fromCharCode(block[156] || 0x30),
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    major: ustar ? number(block, 329, 8) : 0,
    minor: ustar ? number(block, 337, 8) : 0,
    block,
  };
}

/** Whether a header may stand there, or the archive's end. */
export function mayBeHeader(reader: TarReader, at: number): boolean {
  if (at >= reader.size) return true;
  const block = reader.block(at);
  return isSumRight(reader, at, block) || block.every((byte) => byte === 0);
}

/** The sum of all bytes, its own field taken for blanks. */
function isSumRight(reader: TarReader, at: number, block: Buffer): boolean {
  const said = number(block, 148, 8);
  const sum = reader.sum(at) - sumOf(block, 148, 156) + 8 * 0x20;
  // Old writers took bytes for signed.
  return (
    said === sum || said === sum - 256 * block.filter((byte, i) => byte > 127 && (i < 148 || i > 155)).length
  );
}

function sumOf(block: Buffer, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += block[i] ?? 0;
  return sum;
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
  readonly #fd: number;
  readonly #windows = new Windows();
  readonly #step = Buffer.allocUnsafeSlow(STEP);
  readonly #stepWords = new Uint32Array(this.#step.buffer);
  /** What was read last: a window or a step. */
  #bytes: Buffer = this.#step;
  #words: Uint32Array = this.#stepWords;
  #start = 0;
  #end = 0;

  constructor(file: string) {
    this.file = file;
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

  /** One block; the bytes are valid until the next call. */
  block(at: number): Buffer {
    if (at < this.#start || at + BLOCK > this.#end) {
      if (at >= this.#start && at < this.#end + NEAR) this.#turn(at);
      else {
        this.#bytes = this.#step;
        this.#words = this.#stepWords;
        this.#start = at;
        this.#end = at + readSync(this.#fd, this.#step, 0, STEP, at);
      }
      if (this.#end < at + BLOCK) this.refuse(at, 'the archive ends within a header');
    }
    return this.#bytes.subarray(at - this.#start, at - this.#start + BLOCK);
  }

  #turn(at: number): void {
    const windows = this.#windows;
    windows.turn(this.#fd, at, windows.end === this.#end);
    this.#bytes = windows.bytes;
    this.#words = windows.words;
    this.#start = windows.start;
    this.#end = windows.end;
  }

  /** The sum of all bytes of the block that `block` gave last, which is at `at`. */
  sum(at: number): number {
    const first = (at - this.#start) / 4;
    // Four bytes at a time, as two sums of 16 bits: 256 bytes each, at most 65,280.
    let sums = 0;
    for (let i = first; i < first + BLOCK / 4; i++) {
      const word = this.#words[i] ?? 0;
      sums += (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff);
    }
    return (sums % 0x1_0000) + Math.floor(sums / 0x1_0000);
  }

  /** The whole of a small member, a copy. */
  small(at: number, size: number, header: number): Buffer {
    if (size > LARGEST_HEADER) this.refuse(header, `an extended header of ${size} bytes is too large`);
    const bytes = Buffer.allocUnsafe(size);
    if (readSync(this.#fd, bytes, 0, size, at) < size)
      this.refuse(header, 'the archive ends within a header');
    return bytes;
  }

  refuse(at: number, why: string): never {
    throw new Failure('input', {
      what: `not a tar file that can be used: ${why}`,
      where: `${this.file} at byte ${at}`,
    });
  }
}
