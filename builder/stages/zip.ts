// The zip that balenaEtcher flashes: the image, and in `.meta/` what it is and which of its blocks carry data.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { crc32 } from '../disk/crc32.ts';
import type { Range } from '../disk/volume.ts';
import { crcShift, joinCrc } from '../pack/crc.ts';
import { type Mapped, readMapped } from '../pack/mapped.ts';
import { type Deflated, Threads } from '../pack/threads.ts';
import { directory, localHeader, type ZipEntry } from '../pack/zip.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  board: z.string(),
  site: z.string(),
  hostnames: z.array(z.string()),
  edgekiln: z.string(),
  /** Bytes of the smallest medium. */
  medium: z.int(),
  /** 1 to 9, as zlib means it. */
  level: z.int().min(1).max(9),
  /** Version of zlib: another one may deflate to other bytes. */
  zlib: z.string(),
  epoch: z.int(),
});

type ZipOptions = z.output<typeof schema>;

/** Bytes that are deflated at a time, each piece for itself: as much as stays the same from build to build. */
const chunk = 1024 * 1024;

/** The end of a deflate stream whose pieces all end by a sync flush: a last block with nothing in it (RFC 1951). */
const lastBlock = Uint8Array.of(0x03, 0x00);

/** `HOSTNAME.img.zip` for each image of `disk`; `bmap` holds their block maps, `chunks` keeps what was deflated. */
export const zip: Stage<ZipOptions, Readonly<Record<'disk' | 'bmap' | 'chunks', string>>> = {
  name: 'zip',
  summary: 'packs the images for balenaEtcher',
  version: 1,
  schema,
  async run(options, inputs, workshop) {
    const mapped = await readMapped(inputs.disk, options.board);
    const threads = new Threads();
    const total = mapped.size * options.hostnames.length;
    let done = 0;
    try {
      for (const hostname of options.hostnames) {
        const file = join(inputs.disk, `${hostname}.img`);
        const pieces = deflated({ file, mapped, options, folder: inputs.chunks }, threads, workshop.signal);
        const meta = {
          '.meta/manifest.json': etcherManifest(options, hostname),
          '.meta/image.bmap': await readFile(join(inputs.bmap, `${hostname}.img.bmap`)),
        };
        await writeZip(pieces, {
          target: join(workshop.result, `${hostname}.img.zip`),
          name: `${hostname}.img`,
          size: mapped.size,
          meta,
          epoch: options.epoch,
          wrote: (bytes) => {
            done += bytes;
            workshop.progress(done, total);
          },
        });
      }
    } finally {
      await threads.close();
    }
  },
};

/** What balenaEtcher shows of an image. */
function etcherManifest({ site, edgekiln, medium }: ZipOptions, hostname: string): Buffer {
  const manifest = {
    name: `${hostname} (site ${site})`,
    version: `edgekiln ${edgekiln}`,
    recommendedDriveSize: medium,
  };
  return Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`, 'utf8');
}

interface Image {
  readonly file: string;
  readonly mapped: Mapped;
  readonly options: Pick<ZipOptions, 'level' | 'zlib'>;
  readonly folder: string;
}

/** An image's pieces in order, with their plain length. Some more than there are threads are under way at a time. */
async function* deflated(
  { file, mapped, options, folder }: Image,
  threads: Threads,
  signal: AbortSignal,
): AsyncGenerator<Deflated & { readonly length: number }> {
  const { size, ranges } = mapped;
  const job = { level: options.level, folder: join(folder, `deflate-${options.level}-${options.zlib}`) };
  const zeros = new Map<number, Promise<Deflated>>();
  const holds = covering(ranges);
  const start = (at: number): { length: number; piece: Promise<Deflated> } => {
    const length = Math.min(chunk, size - at);
    if (holds(at, at + length)) return { length, piece: threads.deflate({ ...job, file, at, length }) };
    const piece = zeros.get(length) ?? threads.deflate({ ...job, at, length });
    zeros.set(length, piece);
    return { length, piece };
  };
  const ahead: ReturnType<typeof start>[] = [];
  for (let at = 0; at < size || ahead.length > 0; ) {
    while (at < size && ahead.length < 4 * threads.count) {
      const next = start(at);
      next.piece.catch(() => {}); // it is awaited below; a failure before that must not end the process
      ahead.push(next);
      at += chunk;
    }
    const first = ahead.shift();
    if (first === undefined) break;
    if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    yield { length: first.length, ...(await first.piece) };
  }
}

/** Says whether any of the ranges touches one; to be asked in ascending order. */
function covering(ranges: readonly Range[]): (start: number, end: number) => boolean {
  let index = 0;
  return (start, end) => {
    while (index < ranges.length && (ranges[index]?.end ?? 0) <= start) index++;
    return (ranges[index]?.start ?? Number.POSITIVE_INFINITY) < end;
  };
}

interface ZipWork {
  readonly target: string;
  readonly name: string;
  /** Bytes of the image. */
  readonly size: number;
  readonly meta: Readonly<Record<string, Buffer>>;
  readonly epoch: number;
  wrote(bytes: number): void;
}

async function writeZip(
  pieces: AsyncIterable<Deflated & { readonly length: number }>,
  { target, name, size, meta, epoch, wrote }: ZipWork,
): Promise<void> {
  const output = openSync(target, 'wx', 0o644);
  let at = 0;
  const write = (bytes: Uint8Array, from: number): void => {
    for (let done = 0; done < bytes.length; )
      done += writeSync(output, bytes, done, bytes.length - done, from + done);
  };
  const append = (bytes: Uint8Array): void => {
    write(bytes, at);
    at += bytes.length;
  };
  try {
    const begun: ZipEntry = { name, size, compressedSize: 0, crc: 0, deflated: true, at: 0 };
    const room = localHeader(begun, epoch);
    append(room);
    let crc = 0;
    for await (const piece of pieces) {
      append(piece.bytes);
      crc = joinCrc(crc, piece.crc, shiftOf(piece.length));
      wrote(piece.length);
    }
    append(lastBlock);
    const image = { ...begun, crc, compressedSize: at - room.length };
    write(localHeader(image, epoch), 0);
    const entries = [image];
    for (const [path, bytes] of Object.entries(meta)) {
      const entry = {
        name: path,
        size: bytes.length,
        compressedSize: bytes.length,
        crc: crc32(bytes),
        deflated: false,
        at,
      };
      entries.push(entry);
      append(localHeader(entry, epoch));
      append(bytes);
    }
    append(directory(entries, at, epoch));
    fsyncSync(output);
  } finally {
    closeSync(output);
  }
}

const shifts = new Map<number, number>();

/** `crcShift`, which is the same for nearly all pieces. */
function shiftOf(length: number): number {
  const shift = shifts.get(length) ?? crcShift(length);
  shifts.set(length, shift);
  return shift;
}
