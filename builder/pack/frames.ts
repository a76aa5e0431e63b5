// Frames of zstd, kept from build to build by the digest of what they hold.
import { createReadStream, existsSync } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import type { Range } from '../disk/volume.ts';
import { partialName } from '../pipeline/partial.ts';
import { digestOfZeros } from './survey.ts';
import type { Stretch, Threads } from './threads.ts';

/** Bytes read at a time. */
const highWaterMark = 1024 * 1024;

/** Behind a kept frame: its SHA-256. */
const sealSize = 32;

interface FramesOptions {
  readonly folder: string;
  readonly level: number;
  readonly threads: Threads;
  readonly signal: AbortSignal;
}

/** A part of a file, and a digest of what it holds; without one, zeros. */
type Known = Range & { readonly digest: string | undefined };

/** What becomes a frame: as a whole, its digest is only a name; those of its chunks are SHA-256 (hex). */
export interface Held extends Known {
  readonly chunks: readonly Known[];
}

/** Frames in a folder, by the digest of what they hold. */
export class Frames {
  readonly #options: FramesOptions;
  readonly #made = new Map<string, Promise<Stretch>>();

  constructor(options: FramesOptions) {
    this.#options = options;
  }

  /** The frame of a stretch of a file; of one that holds something else by now, none is made. */
  of(file: string, { start, end, digest, chunks }: Held): Promise<Stretch> {
    const length = end - start;
    const name = digest ?? `zeros-${length}`;
    const compress = async (partial: string) => {
      if (digest === undefined) return this.#compress(zeros(length), length, partial);
      const input = createReadStream(file, { start, end: end - 1, highWaterMark });
      await this.#compress(input, length, partial);
      await this.#proveSame(file, chunks);
    };
    const frame = this.#made.get(name) ?? this.#keep(name, compress);
    this.#made.set(name, frame);
    return frame;
  }

  async #keep(name: string, compress: (partial: string) => Promise<void>): Promise<Stretch> {
    const { folder } = this.#options;
    const file = join(folder, name.slice(0, 2), name);
    const kept = existsSync(file) ? await this.#whole(file) : undefined;
    if (kept !== undefined) {
      const now = new Date(); // what is used is not cleared away
      await utimes(file, now, now).catch(() => {});
      return kept;
    }
    await mkdir(dirname(file), { recursive: true });
    const partial = join(folder, partialName());
    try {
      await compress(partial);
      await appendFile(partial, Buffer.from(await this.#options.threads.digest(partial), 'hex'));
      await rename(partial, file);
    } finally {
      await rm(partial, { force: true });
    }
    return { file, at: 0, size: (await stat(file)).size - sealSize };
  }

  /** A kept frame, unless it was torn. */
  async #whole(file: string): Promise<Stretch | undefined> {
    const handle = await open(file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const size = (await handle.stat()).size - sealSize;
      if (size <= 0) return undefined;
      const { buffer: seal } = await handle.read(Buffer.alloc(sealSize), 0, sealSize, size);
      const [digest] = await this.#options.threads.runs(file, [{ start: 0, end: size }]);
      return digest === seal.toString('hex') ? { file, at: 0, size } : undefined;
    } finally {
      await handle.close();
    }
  }

  /** A frame is found by its name later: one of a file that was changed meanwhile must not be kept. */
  async #proveSame(file: string, chunks: readonly Known[]): Promise<void> {
    const digests = await this.#options.threads.runs(file, chunks);
    if (chunks.every(({ start, end, digest }, at) => digests[at] === (digest ?? digestOfZeros(end - start))))
      return;
    throw new Failure('io', {
      what: 'an image cannot be packed',
      where: file,
      why: 'the file is not as it was',
      fix: 'build again, and leave the output folder alone meanwhile',
    });
  }

  /** One frame. The bytes do not depend on how many threads zstd uses. */
  async #compress(input: Readable, length: number, file: string): Promise<void> {
    const { level, signal } = this.#options;
    await run('zstd', ['-q', '-T1', `-${level}`, `--stream-size=${length}`, '-c'], {
      input,
      stdout: { file },
      buffer: false,
      cancelSignal: signal,
    });
  }
}

function zeros(length: number): Readable {
  const block = Buffer.alloc(highWaterMark);
  return Readable.from(
    (function* () {
      for (let left = length; left > 0; left -= block.length)
        yield block.subarray(0, Math.min(left, block.length));
    })(),
  );
}
