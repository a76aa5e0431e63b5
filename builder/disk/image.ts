// An image that is read: a file, or what is in it from a byte offset on.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';
import { type Entry, lengthOf } from '../tree/entry.ts';

/** Reads at places of a file. Refuses with Failure('io', …) what is not there. */
export class Image {
  readonly file: string;
  /** Where the volume starts in the file, in bytes. */
  readonly offset: number;
  /** Bytes from `offset` to the end of the file. */
  readonly size: number;
  readonly #fd: number;

  constructor(file: string, offset = 0) {
    this.file = file;
    this.offset = offset;
    try {
      this.#fd = openSync(file, 'r');
      this.size = fstatSync(this.#fd).size - offset;
    } catch (error) {
      throw new Failure('io', { what: 'an image cannot be read', where: file, why: String(error) }, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** `length` bytes from `at` of the volume on. */
  read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    this.readInto(bytes, at);
    return bytes;
  }

  /** Fills `into` with the bytes from `at` of the volume on. */
  readInto(into: Uint8Array, at: number): void {
    for (let done = 0; done < into.length; ) {
      const read = readSync(this.#fd, into, done, into.length - done, this.offset + at + done);
      if (read === 0) {
        throw new Failure('io', {
          what: 'an image ends too early',
          where: `${this.file} at byte ${this.offset + at + done}`,
        });
      }
      done += read;
    }
  }

  /** Up to `length` bytes of a file of the volume from `start` on; holes are zeros. */
  content(entry: Entry & { kind: 'file' }, start = 0, length = Number.POSITIVE_INFINITY): Buffer {
    const end = Math.min(entry.size, start + length);
    const content = Buffer.alloc(Math.max(0, end - start));
    for (const { offset, bytes } of entry.segments) {
      const from = Math.max(start, offset);
      const until = Math.min(end, offset + lengthOf(bytes));
      if (from >= until) continue;
      const into = content.subarray(from - start, until - start);
      if (bytes.at === 'memory') into.set(bytes.bytes.subarray(from - offset, until - offset));
      else this.readInto(into, bytes.offset - this.offset + from - offset);
    }
    return content;
  }

  /** What is not as it should be. */
  refusal(what: string, why: string): Failure {
    return new Failure('unsupported', { what, where: this.file, why });
  }
}
