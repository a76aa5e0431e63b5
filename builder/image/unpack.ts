// A packed image, unpacked beside for as long as it is looked at.
import { closeSync, createReadStream, ftruncateSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { Failure, systemFailure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import { mebibytes } from '../pipeline/reporters.ts';
import { put } from '../tree/fill.ts';
import { readRange } from './open.ts';

const magic = { zip: '504b0304', end: '504b0506', zstd: '28b52ffd' } as const;

function kindOf(file: string): 'zip' | 'zstd' | undefined {
  const head = readRange(file, 0, 4).toString('hex');
  if (head === magic.zip) return 'zip';
  return head === magic.zstd ? 'zstd' : undefined;
}

/** Bytes of data, zeros aside, that a packed file may hold: far more than any image does, far less than a bomb. */
function mostIn(file: string): number {
  return 64 * 1024 ** 2 + 50 * statSync(file).size;
}

/**
 * Calls `work` with the image in a `.zip` or `.zst`, which is unpacked into the folder for temporary files (as large
 * as what it carries, not as it is long) and removed afterwards. Any other file is given as it is. Refuses what would
 * fill the disk.
 */
export async function withUnpacked<Result>(
  file: string,
  signal: AbortSignal,
  work: (image: string) => Promise<Result> | Result,
): Promise<Result> {
  const kind = kindOf(file);
  if (kind === undefined) return work(file);
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-image-'));
  const image = join(folder, basename(file).replace(/\.(zip|zst)$/, ''));
  try {
    if (kind === 'zip') await unzip(file, image, signal);
    else await unzstd(file, image, signal);
    return await work(image);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function unzstd(file: string, image: string, signal: AbortSignal): Promise<void> {
  const most = mostIn(file);
  const bomb = new AbortController();
  const occupied = () => (statSync(image, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  const watch = setInterval(() => occupied() > most && bomb.abort(), 50);
  try {
    const cancelSignal = AbortSignal.any([signal, bomb.signal]);
    await run('zstd', ['-dq', '--sparse', file, '-o', image], { cancelSignal });
    if (occupied() > most) bomb.abort();
    bomb.signal.throwIfAborted();
  } catch (error) {
    if (bomb.signal.aborted) throw tooMuch(file, most);
    // A program that ran and gave up (it has a cause; a missing one has none) blames what it was given.
    const gaveUp = error instanceof Failure && error.kind === 'environment' && error.cause !== undefined;
    throw gaveUp ? cannotUnpack(file, error.problems[0]?.why ?? 'it is damaged', error) : error;
  } finally {
    clearInterval(watch);
  }
}

function tooMuch(where: string, most: number): Failure {
  return new Failure('input', {
    what: `it unpacks to more than ${mebibytes(most)}`,
    where,
    why: 'no image is packed that tightly: this may be an archive that is meant to fill a disk',
    fix: 'if you trust it, unpack it yourself and give the image',
  });
}

function cannotUnpack(where: string, why: string, cause?: unknown): Failure {
  const what = 'the image in it cannot be unpacked';
  const fix = 'bring it anew from where it was made; sha256sum -c SHA256SUMS there says whether it is whole';
  return systemFailure(cause, where) ?? new Failure('input', { what, where, why, fix }, cause);
}

/** Takes the first file out of a zip, which is the image in ours; the end of the deflate stream is the end of it. */
async function unzip(file: string, image: string, signal: AbortSignal): Promise<void> {
  const header = readRange(file, 0, 30);
  if (header.length < 30) throw cannotUnpack(file, 'it ends in its first header');
  const [method, nameLength, extraLength] = [8, 26, 28].map((at) => header.readUInt16LE(at));
  const name = readRange(file, 30, nameLength ?? 0).toString('utf8');
  if (method !== 8 || !name.endsWith('.img')) {
    throw new Failure('input', {
      what: 'this is not a zip that edgekiln made',
      where: file,
      why: `the first file in it is ${JSON.stringify(name.slice(0, 60))}`,
      fix: 'unpack it yourself and give the image',
    });
  }
  // Whoever opens a zip begins at its end.
  const end = readRange(file, Math.max(0, statSync(file).size - 22), 22);
  if (end.toString('hex', 0, 4) !== magic.end) throw cannotUnpack(file, 'its end is missing');
  const start = 30 + (nameLength ?? 0) + (extraLength ?? 0);
  const target = new SparseFile(image, mostIn(file));
  try {
    await pipeline(
      createReadStream(file, { start, highWaterMark: 1 << 20 }),
      createInflateRaw({ chunkSize: 1 << 20 }),
      target,
      { signal },
    );
  } catch (error) {
    if (signal.aborted) throw new Failure('interrupted', { what: 'unpacking was stopped' }, error);
    if (error instanceof Overfull) throw tooMuch(file, error.most);
    throw cannotUnpack(file, error instanceof Error ? error.message : String(error), error);
  }
}

/** More was to be written than was allowed. */
class Overfull extends Error {
  readonly most: number;

  constructor(most: number) {
    super(`more than ${most} bytes`);
    this.most = most;
  }
}

/** Writes what is not zeros, block by block, and at most so many bytes of it. */
class SparseFile extends Writable {
  readonly #descriptor: number;
  readonly #most: number;
  #at = 0;
  #written = 0;

  constructor(file: string, most: number) {
    super({ highWaterMark: 1 << 21 });
    this.#most = most;
    this.#descriptor = openSync(file, 'wx', 0o600);
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    try {
      if (!isZero(chunk)) {
        this.#written += chunk.length;
        if (this.#written > this.#most) throw new Overfull(this.#most);
        put(this.#descriptor, chunk, this.#at);
      }
      this.#at += chunk.length;
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    ftruncateSync(this.#descriptor, this.#at);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    closeSync(this.#descriptor);
    done(error);
  }
}

const zeros = Buffer.alloc(1 << 20);

function isZero(bytes: Buffer): boolean {
  return bytes.length <= zeros.length && zeros.subarray(0, bytes.length).equals(bytes);
}
