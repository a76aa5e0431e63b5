// Collects bytes into few large writes, and reads file contents straight into them.
import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Failure } from '../../formats/errors.ts';
import type { Bytes } from '../tree/entry.ts';
import type { Output } from './volume.ts';

/** Small enough to stay in the processor's cache between the read into it and the write out of it. */
const BATCH = 512 * 1024;
/** Others wait for so many bytes. */
const TURN = 8 * 1024 * 1024;
/** What lies near each other in a source file is read in one go of this size. */
const WINDOW = 512 * 1024;
/** Reads from this size on go straight into the batch. */
const DIRECT = 128 * 1024;

/** Writes a volume from its first byte on. */
export class Batch {
  readonly #output: Output;
  readonly #buffer = Buffer.allocUnsafeSlow(BATCH);
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
    if (this.#filled + length > BATCH) this.#flush();
    const room = this.#buffer.subarray(this.#filled, this.#filled + length);
    this.#filled += length;
    return room.fill(0);
  }

  /** Zeros up to that place. */
  zeros(until: number): void {
    if (until < this.at) throw new Error(`a writer went back from ${this.at} to ${until}`);
    while (this.at < until) {
      // `#free` may empty the buffer: it goes first.
      const length = this.#free(until - this.at);
      this.#buffer.fill(0, this.#filled, this.#filled + length);
      this.#filled += length;
    }
  }

  /** Appends `length` bytes from `skip` on of what is given. */
  append(bytes: Bytes, skip: number, length: number): void {
    for (let done = 0; done < length; ) {
      const part = this.#free(length - done);
      if (bytes.at === 'memory') {
        this.#buffer.set(bytes.bytes.subarray(skip + done, skip + done + part), this.#filled);
      } else {
        this.#sources.read(bytes.file, bytes.offset + skip + done, this.#buffer, this.#filled, part);
      }
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
    if (this.#filled > 0) this.#output.write(this.#start, this.#buffer.subarray(0, this.#filled));
    this.#start += this.#filled;
    this.#unyielded += this.#filled;
    this.#filled = 0;
  }
}

/** Open source files, and the window of the one read last. */
class Sources {
  readonly #open = new Map<string, number>();
  readonly #window = Buffer.allocUnsafe(WINDOW);
  #file = '';
  #start = 0;
  #end = 0;

  read(file: string, offset: number, into: Buffer, at: number, length: number): void {
    if (length < DIRECT && file === this.#file && offset >= this.#start && offset + length <= this.#end) {
      this.#window.copy(into, at, offset - this.#start, offset - this.#start + length);
      return;
    }
    // A window is worth it when the last read ended shortly before this one.
    const near = file === this.#file && offset >= this.#end && offset - this.#end < WINDOW / 8;
    if (length >= DIRECT || !near) {
      if (this.#fill(file, offset, into, at, length) < length) throw truncated(file, offset + length);
      this.#file = file;
      this.#start = offset + length;
      this.#end = this.#start;
      return;
    }
    this.#start = offset;
    this.#end = offset + this.#fill(file, offset, this.#window, 0, WINDOW);
    if (this.#end < offset + length) throw truncated(file, offset + length);
    this.#window.copy(into, at, 0, length);
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    this.#file = '';
  }

  #fill(file: string, offset: number, into: Buffer, at: number, length: number): number {
    let done = 0;
    try {
      const fd = this.#descriptor(file);
      while (done < length) {
        const read = readSync(fd, into, at + done, length - done, offset + done);
        if (read === 0) break;
        done += read;
      }
    } catch (error) {
      throw new Failure(
        'io',
        { what: 'a source file cannot be read', where: file, why: String(error) },
        error,
      );
    }
    return done;
  }

  #descriptor(file: string): number {
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
