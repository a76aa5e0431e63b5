// What few entries have, and of any length: extended attributes, and the segments of files with holes. As bytes, in
// memory up to a budget, beyond it in a temporary file.
import { type Bytes, lengthOf, nameFromBytes, nameToBytes, type Segment, type Xattrs } from './entry.ts';
import { Blobs } from './pages.ts';

/** Sets of extended attributes up to so many bytes are kept once, the first so many of them. */
const SHORT = 256;
const MOST_SHARED = 4096;
/** Bytes of a segment: its offset, file, offset there and length. */
const SEGMENT = 28;
/** In place of the number of a file: the bytes are in memory, and the offset there is their number. */
const MEMORY = 0xffff_ffff;

/** Numbers of files, by their names. */
export class FileNumbers {
  readonly #names: string[] = [];
  readonly #numbers = new Map<string, number>();
  #last = 0;

  number(name: string): number {
    // Mostly the one before.
    if (name === this.#names[this.#last]) return this.#last;
    this.#last = this.#numberOf(name);
    return this.#last;
  }

  #numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }

  /** Undefined for a number that was never given. */
  name(number: number): string | undefined {
    return this.#names[number];
  }
}

/** Keeps sets of extended attributes and lists of segments, and gives their places: 32 bits each, never 0. */
export class Details {
  readonly #blobs: Blobs;
  readonly #files: FileNumbers;
  readonly #memory: Uint8Array[] = [];
  readonly #shared = new Map<string, number>();

  constructor(budget: number, files: FileNumbers) {
    this.#blobs = new Blobs(budget);
    this.#files = files;
  }

  close(): void {
    this.#blobs.close();
  }

  addXattrs(xattrs: Xattrs): number {
    const parts: Uint8Array[] = [];
    for (const [name, value] of xattrs) {
      const bytes = nameToBytes(name);
      parts.push(words(bytes.length, value.length), bytes, value);
    }
    const bytes = Buffer.concat(parts);
    if (bytes.length > SHORT) return this.#blobs.add(bytes);
    const key = bytes.toString('latin1');
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const place = this.#blobs.add(bytes);
    if (this.#shared.size < MOST_SHARED) this.#shared.set(key, place);
    return place;
  }

  xattrs(place: number): Xattrs {
    const bytes = this.#blobs.read(place);
    const xattrs: [string, Uint8Array][] = [];
    for (let at = 0; at < bytes.length; ) {
      const name = at + 8;
      const value = name + bytes.readUInt32LE(at);
      const end = value + bytes.readUInt32LE(at + 4);
      xattrs.push([nameFromBytes(bytes.subarray(name, value)), bytes.subarray(value, end)]);
      at = end;
    }
    return xattrs;
  }

  addSegments(segments: readonly Segment[]): number {
    const bytes = Buffer.allocUnsafe(segments.length * SEGMENT);
    let at = 0;
    for (const segment of segments) {
      const source = segment.bytes;
      const inFile = source.at === 'file';
      bytes.writeDoubleLE(segment.offset, at);
      bytes.writeUInt32LE(inFile ? this.#files.number(source.file) : MEMORY, at + 8);
      bytes.writeDoubleLE(inFile ? source.offset : this.#memory.push(source.bytes) - 1, at + 12);
      bytes.writeDoubleLE(lengthOf(source), at + 20);
      at += SEGMENT;
    }
    return this.#blobs.add(bytes);
  }

  segments(place: number): Segment[] {
    const bytes = this.#blobs.read(place);
    return Array.from({ length: bytes.length / SEGMENT }, (_, i) => {
      const at = i * SEGMENT;
      return { offset: bytes.readDoubleLE(at), bytes: this.#source(bytes, at) };
    });
  }

  #source(bytes: Buffer, at: number): Bytes {
    const number = bytes.readUInt32LE(at + 8);
    const offset = bytes.readDoubleLE(at + 12);
    const inMemory = number === MEMORY ? this.#memory[offset] : undefined;
    if (inMemory !== undefined) return { at: 'memory', bytes: inMemory };
    return { at: 'file', file: this.#files.name(number) ?? '', offset, length: bytes.readDoubleLE(at + 20) };
  }
}

function words(first: number, second: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(first, 0);
  bytes.writeUInt32LE(second, 4);
  return bytes;
}
