// Collects bytes into few large writes, and reads file contents straight into them.
import { closeSync, openSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Failure } from '../../formats/errors.ts';
import { Windows } from '../tree/ahead.ts';
import type { Bytes } from '../tree/entry.ts';
import { fill } from '../tree/fill.ts';
import type { Output } from './volume.ts';

/** Small enough to stay in the processor's cache between the read into it and the write out of it. */
const BATCH = 512 * 1024;
/** Others wait for so many bytes. */
const TURN = 8 * 1024 * 1024;
/** What lies so near behind a window is worth another one. */
const NEAR = 64 * 1024;
/** Reads from this size on go straight into the batch. */
const DIRECT = 128 * 1024;

/** Writes a volume from its first byte on. */
export class Batch {
  readonly #output: Output;
  readonly bytes = Buffer.allocUnsafeSlow(BATCH);
  readonly view = new DataView(this.bytes.buffer);
  readonly #sources = new Sources();
  /** Volume offset of the start of the buffer. */
  #start = 0;
  #filled = 0;
  #unyielded = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Where the next byte goes. */
  get at(): number {
    return this.#start + this.#filled;
  }

  /** Room for `length` bytes (at most 64 KiB), zeroed, to be filled at once. */
  room(length: number): Buffer {
    const start = this.reserve(length);
    return this.bytes.subarray(start, start + length);
  }

  /** As `room`, for very many: says where in `bytes` it begins. */
  reserve(length: number): number {
    if (this.#filled + length > BATCH) this.#flush();
    const start = this.#filled;
    this.#filled += length;
    this.bytes.fill(0, start, this.#filled);
    return start;
  }

  /** Zeros up to that place. */
  zeros(until: number): void {
    let left = until - this.at;
    if (left < 0) throw new Error(`a writer went back from ${this.at} to ${until}`);
    for (; left > 0; left = until - this.at) {
      // `#free` may empty the buffer: it goes first.
      const length = this.#free(left);
      this.bytes.fill(0, this.#filled, this.#filled + length);
      this.#filled += length;
    }
  }

  /** Appends `length` bytes from `skip` on of what is given. */
  append(bytes: Bytes, skip: number, length: number): void {
    if (bytes.at === 'file') {
      this.appendFile(bytes.file, bytes.offset + skip, length);
      return;
    }
    for (let done = 0; done < length; ) {
      const part = this.#free(length - done);
      this.bytes.set(bytes.bytes.subarray(skip + done, skip + done + part), this.#filled);
      this.#filled += part;
      done += part;
    }
  }

  /** Appends `length` bytes from `offset` on of a file. */
  appendFile(file: string, offset: number, length: number): void {
    for (let done = 0; done < length; ) {
      const part = this.#free(length - done);
      this.#sources.read(file, offset + done, this.bytes, this.#filled, part);
      this.#filled += part;
      done += part;
    }
  }

  /** Whether enough was written to give way to others: then `await rest()`. */
  get tired(): boolean {
    return this.#unyielded >= TURN;
  }

  async rest(): Promise<void> {
    this.#unyielded = 0;
    await turn();
  }

  /** Writes what is left and lets go of the source files. */
  end(): void {
    this.#flush();
    this.close();
  }

  close(): void {
    this.#sources.close();
  }

  #free(wanted: number): number {
    if (this.#filled === BATCH) this.#flush();
    return Math.min(wanted, BATCH - this.#filled);
  }

  #flush(): void {
    if (this.#filled > 0) this.#output.write(this.#start, this.bytes.subarray(0, this.#filled));
    this.#start += this.#filled;
    this.#unyielded += this.#filled;
    this.#filled = 0;
  }
}

/** Open source files, and the window of the one read last. */
class Sources {
  readonly #open = new Map<string, number>();
  readonly #windows = new Windows();
  /** Where the last read ended. */
  #file = '';
  #fd = -1;
  #end = 0;

  read(file: string, offset: number, into: Buffer, at: number, length: number): void {
    try {
      const fd = this.#descriptor(file);
      // A window is worth it when the last read ended shortly before this one.
      const straight = file === this.#file && offset >= this.#end && offset - this.#end < NEAR;
      const read =
        length < DIRECT && straight
          ? this.#fromWindows(fd, offset, into, at, length)
          : fill(fd, into.subarray(at, at + length), offset);
      if (read < length) throw truncated(file, offset + length);
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(
        'io',
        { what: 'a source file cannot be read', where: file, why: String(error) },
        error,
      );
    }
    this.#file = file;
    this.#end = offset + length;
  }

  #fromWindows(fd: number, offset: number, into: Buffer, at: number, length: number): number {
    const windows = this.#windows;
    for (let done = 0; done < length; ) {
      const place = offset + done;
      const straight = place - windows.end < NEAR && place >= windows.end;
      if (!windows.has(fd, place) && !windows.turn(fd, place, straight)) return done;
      const from = place - windows.start;
      const part = Math.min(length - done, windows.end - place);
      windows.bytes.copy(into, at + done, from, from + part);
      done += part;
    }
    return length;
  }

  close(): void {
    this.#windows.drop();
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#file = '';
  }

  #descriptor(file: string): number {
    if (file === this.#file) return this.#fd;
    this.#fd = this.#descriptorOf(file);
    return this.#fd;
  }

  #descriptorOf(file: string): number {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    if (this.#open.size >= 64) this.close();
    const fd = openSync(file, 'r');
    this.#open.set(file, fd);
    return fd;
  }
}

function truncated(file: string, needed: number): Failure {
  return new Failure('io', {
    what: 'a source file is shorter than it was',
    where: file,
    why: `it was read up to byte ${needed}`,
    fix: 'run the build again; if it stays, remove the file from the store',
  });
}
