// Records and names of very many entries: in memory up to a budget, beyond it in a temporary file.
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemFailure } from '../../formats/errors.ts';
import { nameFromBytes } from './entry.ts';
import { put } from './fill.ts';

const PAGE_BYTES = 64 * 1024;
const PAGE_WORDS = PAGE_BYTES / 4;
/** Blobs begin at multiples of this: 32 bits reach to 64 GiB, and no length lies across two pages. */
const BLOB_STEP = 16;

/** Pages by number. At most `budget` bytes of them are in memory; the least recently loaded go to a file. */
class Pages {
  readonly #resident: (Uint32Array | undefined)[] = [];
  readonly #order: number[] = [];
  readonly #limit: number;
  /** Pages that went to the file, to be used again: nobody looks at a page for longer than a call. */
  readonly #spare: Uint32Array[] = [];
  #spill: number | undefined;

  constructor(budget: number) {
    this.#limit = Math.max(4, Math.floor(budget / PAGE_BYTES));
  }

  load(index: number): Uint32Array {
    const page = this.#resident[index];
    if (page !== undefined) return page;
    if (this.#order.length >= this.#limit) this.#evict();
    const fresh = this.#spare.pop()?.fill(0) ?? new Uint32Array(PAGE_WORDS);
    if (index < this.#resident.length && this.#spill !== undefined) {
      readSync(this.#spill, fresh, 0, PAGE_BYTES, index * PAGE_BYTES);
    }
    while (this.#resident.length < index) this.#resident.push(undefined);
    this.#resident[index] = fresh;
    this.#order.push(index);
    return fresh;
  }

  close(): void {
    if (this.#spill !== undefined) closeSync(this.#spill);
    this.#spill = undefined;
  }

  #evict(): void {
    const victims = this.#order.splice(0, Math.max(1, this.#order.length >> 3));
    this.#spill ??= openSpill();
    for (const index of victims) {
      const page = this.#resident[index];
      if (page === undefined) continue;
      writePage(this.#spill, page, index * PAGE_BYTES);
      this.#spare.push(page);
      this.#resident[index] = undefined;
    }
  }
}

/** A file without a name: it is gone when the process ends, however it ends. */
function openSpill(): number {
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-'));
  try {
    return openSync(join(folder, 'spill'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writePage(spill: number, page: Uint32Array, at: number): void {
  try {
    put(spill, bytesOf(page), at);
  } catch (error) {
    throw systemFailure(error, tmpdir()) ?? error;
  }
}

/** A growing array of records of `words` 32-bit numbers each (a power of two). New records are all zero. */
export class Records {
  readonly #pages: Pages;
  readonly #recordShift: number;
  readonly #wordShift: number;
  readonly #mask: number;
  #page: Uint32Array;
  #number = 0;
  #length = 0;

  constructor(words: number, budget: number) {
    this.#pages = new Pages(budget);
    this.#wordShift = Math.log2(words);
    this.#recordShift = Math.log2(PAGE_WORDS / words);
    this.#mask = PAGE_WORDS / words - 1;
    this.#page = this.#pages.load(0);
  }

  get length(): number {
    return this.#length;
  }

  /** Adds a record and gives its index. */
  add(): number {
    return this.#length++;
  }

  get(index: number, word: number): number {
    if (index >>> this.#recordShift !== this.#number) this.#turn(index);
    return this.#page[((index & this.#mask) << this.#wordShift) + word] ?? 0;
  }

  set(index: number, word: number, value: number): void {
    if (index >>> this.#recordShift !== this.#number) this.#turn(index);
    this.#page[((index & this.#mask) << this.#wordShift) + word] = value;
  }

  /** The page a record is in, for who reads or writes many of its words: valid until the next call. */
  page(index: number): Uint32Array {
    if (index >>> this.#recordShift !== this.#number) this.#turn(index);
    return this.#page;
  }

  /** Where in its page a record begins. */
  startOf(index: number): number {
    return (index & this.#mask) << this.#wordShift;
  }

  getLong(index: number, word: number): number {
    return getLong(this.page(index), this.startOf(index) + word);
  }

  close(): void {
    this.#pages.close();
  }

  #turn(index: number): void {
    this.#number = index >>> this.#recordShift;
    this.#page = this.#pages.load(this.#number);
  }
}

/** Numbers beyond 32 bits take two words of a page: the low half, then the high half (signed). */
export function getLong(page: Uint32Array, at: number): number {
  return ((page[at + 1] ?? 0) | 0) * 0x1_0000_0000 + (page[at] ?? 0);
}

export function setLong(page: Uint32Array, at: number, value: number): void {
  page[at] = value;
  page[at + 1] = Math.floor(value / 0x1_0000_0000);
}

/** Strings of bytes, written once. */
export class ByteStrings {
  readonly #pages: Pages;
  #length = 0;
  #page: Buffer;
  #number = 0;

  constructor(budget: number) {
    this.#pages = new Pages(budget);
    this.#page = bytesOf(this.#pages.load(0));
  }

  /** Keeps a copy of `length` bytes (less than 64 KiB) from `from` on and gives their place. */
  add(bytes: Uint8Array, length: number, from = 0): number {
    // No string lies across two pages.
    if ((this.#length % PAGE_BYTES) + length > PAGE_BYTES)
      this.#length += PAGE_BYTES - (this.#length % PAGE_BYTES);
    const place = this.#length;
    const page = this.#turn(place);
    for (let i = 0; i < length; i++) page[(place % PAGE_BYTES) + i] = bytes[from + i] ?? 0;
    this.#length += length;
    return place;
  }

  /** The bytes at a place; not to be changed, and valid until the next call. */
  at(place: number, length: number): Buffer {
    const page = this.#turn(place);
    return page.subarray(place % PAGE_BYTES, (place % PAGE_BYTES) + length);
  }

  /** The page a place is in: valid until the next call. */
  page(place: number): Buffer {
    return this.#turn(place);
  }

  /** Where in its page a place is. */
  startOf(place: number): number {
    return place % PAGE_BYTES;
  }

  isAt(place: number, bytes: Uint8Array, length: number): boolean {
    const page = this.#turn(place);
    const start = place % PAGE_BYTES;
    for (let i = 0; i < length; i++) if (page[start + i] !== bytes[i]) return false;
    return true;
  }

  /** As text, see `nameFromBytes`. */
  text(place: number, length: number): string {
    const page = this.#turn(place);
    const start = place % PAGE_BYTES;
    return nameFromBytes(page.subarray(start, start + length));
  }

  close(): void {
    this.#pages.close();
  }

  #turn(place: number): Buffer {
    const number = Math.floor(place / PAGE_BYTES);
    if (number !== this.#number) {
      this.#number = number;
      this.#page = bytesOf(this.#pages.load(number));
    }
    return this.#page;
  }
}

/** Strings of bytes of any length, written once; reading gives a copy. */
export class Blobs {
  readonly #pages: Pages;
  /** Place 0 stays free. */
  #length = BLOB_STEP;

  constructor(budget: number) {
    this.#pages = new Pages(budget);
  }

  /** Keeps a copy and gives its place: 32 bits, never 0. */
  add(bytes: Uint8Array): number {
    const place = Math.ceil(this.#length / BLOB_STEP);
    if (place > 0xffff_ffff) throw new Error('there are more than 64 GiB of blobs');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length, 0);
    this.#write(place * BLOB_STEP, head);
    this.#write(place * BLOB_STEP + 4, bytes);
    this.#length = place * BLOB_STEP + 4 + bytes.length;
    return place;
  }

  read(place: number): Buffer {
    const at = place * BLOB_STEP;
    const bytes = Buffer.allocUnsafe(this.#part(at, 4).readUInt32LE(0));
    for (let done = 0; done < bytes.length; ) {
      done += this.#part(at + 4 + done, bytes.length - done).copy(bytes, done);
    }
    return bytes;
  }

  close(): void {
    this.#pages.close();
  }

  #write(at: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const part = this.#part(at + done, bytes.length - done);
      part.set(bytes.subarray(done, done + part.length));
      done += part.length;
    }
  }

  /** Up to `length` bytes from `at` on: those of its page. */
  #part(at: number, length: number): Buffer {
    const page = bytesOf(this.#pages.load(Math.floor(at / PAGE_BYTES)));
    return page.subarray(at % PAGE_BYTES, Math.min(PAGE_BYTES, (at % PAGE_BYTES) + length));
  }
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}
