// Compressed files: known by their first bytes, decompressed to a file with a bound on what comes out.
import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';

export type Compression = 'none' | 'gzip' | 'xz' | 'zstd';

/** A run of bytes in a file. */
export interface Extent {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

const magics: readonly [Compression, readonly number[]][] = [
  ['gzip', [0x1f, 0x8b]], // RFC 1952
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]], // RFC 8878
];

/** How the bytes are compressed, by their magic number; `none` for anything else. */
export async function compressionOf(file: string, offset = 0): Promise<Compression> {
  const handle = await open(file, 'r');
  try {
    const start = Buffer.alloc(6);
    const { bytesRead } = await handle.read(start, 0, start.length, offset);
    const read = start.subarray(0, bytesRead);
    const found = magics.find(([, magic]) => magic.every((byte, index) => read[index] === byte));
    return found?.[0] ?? 'none';
  } finally {
    await handle.close();
  }
}

export interface DecompressOptions {
  /** More bytes than this are refused with Failure('input'): an archive bomb. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** Writes the plain content of an extent to a new file; what is not compressed is copied. */
export async function decompress(
  from: Extent,
  to: string,
  { limit, signal }: DecompressOptions,
): Promise<void> {
  const { file, offset, length } = from;
  if (length === 0) throw broken(file, 'it is empty');
  const source = createReadStream(file, { start: offset, end: offset + length - 1 });
  const compression = await compressionOf(file, offset);
  const bound = bounded(file, limit);
  const target = createWriteStream(to, { flags: 'wx' });
  if (compression === 'none' || compression === 'gzip') {
    const plain: Readable = compression === 'none' ? source : source.pipe(createGunzip());
    source.on('error', (error) => plain.destroy(error));
    await pipeline(plain, bound, target, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      throw asFailure(file, error, signal);
    });
    return;
  }
  const written = pipeline(bound, target);
  const options = {
    input: source,
    stdout: ['pipe' as const, bound],
    buffer: { stdout: false },
    ...(signal && { cancelSignal: signal }),
  };
  const ran = run(compression, ['-dc'], options);
  const [copying, running] = await Promise.allSettled([written, ran]);
  if (copying.status === 'rejected') throw asFailure(file, copying.reason, signal);
  if (running.status === 'rejected') throw asContent(file, running.reason);
}

function bounded(file: string, limit: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, next) {
      size += chunk.length;
      if (size > limit) next(broken(file, `it unpacks to more than ${limit} bytes`));
      else next(null, chunk);
    },
  });
}

/** A program that ran and gave up (it has a cause; a missing one has none) blames what it was given. */
function asContent(file: string, error: unknown): unknown {
  const gaveUp = error instanceof Failure && error.kind === 'environment' && error.cause !== undefined;
  return gaveUp ? broken(file, error.problems[0]?.why ?? 'its content is damaged') : error;
}

function asFailure(file: string, error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof Failure) return error;
  if (signal?.aborted)
    return new Failure('interrupted', { what: 'unpacking was stopped', where: file }, error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const why = error instanceof Error ? error.message : String(error);
  if (code.startsWith('Z_')) return broken(file, why);
  return new Failure('io', { what: 'cannot be unpacked', where: file, why }, error);
}

function broken(where: string, why: string): Failure {
  const fix = 'bring it anew from where it was made';
  return new Failure('input', { what: 'an archive that cannot be read', where, why, fix });
}
