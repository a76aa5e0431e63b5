// Frames of zstd, kept from build to build by the digest of what they hold.
import { createReadStream, existsSync } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { run } from '../../formats/programs.ts';
import type { Range } from '../disk/volume.ts';
import { partialName } from '../pipeline/partial.ts';
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

/** Frames in a folder, by the digest of what they hold. */
export class Frames {
  readonly #options: FramesOptions;
  readonly #made = new Map<string, Promise<Stretch>>();

  constructor(options: FramesOptions) {
    this.#options = options;
  }

  /** The frame of a stretch of a file, which is known by a digest of what it holds; without one, of so many zeros. */
  of(
    file: string,
    { start, end, digest }: Range & { readonly digest: string | undefined },
  ): Promise<Stretch> {
    const length = end - start;
    const name = digest ?? `zeros-${length}`;
    const input = () =>
      digest === undefined ? zeros(length) : createReadStream(file, { start, end: end - 1, highWaterMark });
    const frame = this.#made.get(name) ?? this.#keep(name, length, input);
    this.#made.set(name, frame);
    return frame;
  }

  async #keep(name: string, length: number, input: () => Readable): Promise<Stretch> {
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
      await this.#compress(input(), length, partial);
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
