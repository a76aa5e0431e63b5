// A file that is put together of bytes and of pieces of other files.
import { closeSync, fsync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { Failure, systemFailure } from '../../formats/errors.ts';

/** Bytes of a file. */
export interface Stretch {
  readonly file: string;
  readonly at: number;
  readonly size: number;
}

/** A new file. End it when it is whole, else close it. */
export class JoinedFile {
  /** Where the next bytes go. */
  at = 0;
  readonly #file: string;
  readonly #descriptor: number;
  readonly #buffer = Buffer.allocUnsafeSlow(1 << 20);
  /** The file that was read last stays open. */
  #source: { readonly file: string; readonly descriptor: number } | undefined;

  constructor(file: string) {
    this.#file = file;
    this.#descriptor = openSync(file, 'wx', 0o644);
  }

  append(bytes: Uint8Array): void {
    this.write(bytes, this.at);
    this.at += bytes.length;
  }

  /** Writes over what is there, or was left free. */
  write(bytes: Uint8Array, at: number): void {
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, at + done);
    } catch (error) {
      throw systemFailure(error, this.#file) ?? error;
    }
  }

  appendFrom({ file, at, size }: Stretch): void {
    const descriptor = this.#open(file);
    for (let done = 0; done < size; ) {
      const read = readSync(
        descriptor,
        this.#buffer,
        0,
        Math.min(this.#buffer.length, size - done),
        at + done,
      );
      if (read === 0) throw new Failure('io', { what: 'a file is shorter than it was', where: file });
      this.append(this.#buffer.subarray(0, read));
      done += read;
    }
  }

  /** Closes it when its bytes are on the medium; others may be written meanwhile. */
  async end(): Promise<void> {
    try {
      await promisify(fsync)(this.#descriptor);
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.#source !== undefined) closeSync(this.#source.descriptor);
    this.#source = undefined;
    closeSync(this.#descriptor);
  }

  #open(file: string): number {
    if (this.#source?.file === file) return this.#source.descriptor;
    const descriptor = openSync(file, 'r');
    if (this.#source !== undefined) closeSync(this.#source.descriptor);
    this.#source = { file, descriptor };
    return descriptor;
  }
}
