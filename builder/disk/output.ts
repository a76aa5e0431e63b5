// Where volumes are written: a file on a disk, or a hash.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fdatasync, fsync, ftruncateSync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { Failure, systemFailure } from '../../formats/errors.ts';
import { put } from '../tree/fill.ts';
import type { Output, Volume } from './volume.ts';

const AHEAD = 32 * 1024 * 1024;

/** A file that is written in place; what is never written stays a hole. */
class FileOutput implements Output {
  readonly file: string;
  readonly #fd: number;
  /** Bytes written since the medium was last asked to take them. */
  #waiting = 0;
  /** The run that is under way; it gives the error that it met. */
  #early: Promise<unknown> | undefined;
  /** Linux tells of a lost write once: what an early run met must not be forgotten. */
  #lost: unknown;

  constructor(file: string, size: number) {
    this.file = file;
    this.#fd = this.#io(() => openSync(file, 'w', 0o644));
    this.#io(() => ftruncateSync(this.#fd, size));
  }

  write(at: number, bytes: Uint8Array): void {
    this.#io(() => put(this.#fd, bytes, at));
    this.#waiting += bytes.length;
    if (this.#waiting >= AHEAD && this.#early === undefined) this.#startSync();
  }

  /** The medium takes what there is while more is made. */
  #startSync(): void {
    this.#waiting = 0;
    this.#early = promisify(fdatasync)(this.#fd)
      .catch((error: unknown) => {
        this.#lost ??= error;
      })
      .finally(() => {
        this.#early = undefined;
      });
  }

  /** Comes back when no early run is under way; fails if one met an error. */
  async settle(): Promise<void> {
    await this.#early;
    if (this.#lost !== undefined) throw this.#failure(this.#lost);
  }

  async sync(): Promise<void> {
    await this.settle();
    await promisify(fsync)(this.#fd).catch((error: unknown) => {
      throw this.#failure(error);
    });
  }

  async close(): Promise<void> {
    // The number of a closed file may soon be another file's.
    await this.#early;
    closeSync(this.#fd);
  }

  #io<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): Failure {
    const why = error instanceof Error ? error.message : String(error);
    const other = new Failure('io', { what: 'a file cannot be written', where: this.file, why }, error);
    return systemFailure(error, this.file) ?? other;
  }
}

/**
 * Writes a volume into a new file (an old one is replaced), and comes back when it is on the medium. The file is as
 * long as the volume; what is not mapped are holes.
 */
export async function writeToFile(volume: Volume, file: string): Promise<void> {
  await write(volume, file, (output) => output.sync());
}

/** As `writeToFile`, but the medium may not have all of it: for who writes more into the file and syncs it then. */
export async function writeUnsynced(volume: Volume, file: string): Promise<void> {
  await write(volume, file, (output) => output.settle());
}

async function write(
  volume: Volume,
  file: string,
  end: (output: FileOutput) => Promise<void>,
): Promise<void> {
  const output = new FileOutput(file, volume.size);
  try {
    await volume.write(output);
    await end(output);
  } finally {
    await output.close();
  }
}

/**
 * The hash of what a volume maps: its bytes, range after range, as lower case hex. Writers write in ascending order,
 * so nothing is kept.
 */
export async function hashOf(volume: Volume, algorithm = 'sha256'): Promise<string> {
  const hash: Hash = createHash(algorithm);
  let reached = 0;
  await volume.write({
    write: (at, bytes) => {
      if (at < reached) throw new Error(`a volume wrote byte ${at} after byte ${reached}`);
      reached = at + bytes.length;
      hash.update(bytes);
    },
  });
  return hash.digest('hex');
}
