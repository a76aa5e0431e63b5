// The zip that balenaEtcher flashes: the image, and in `.meta/` what it is and which of its blocks carry data.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { crc32 } from '../disk/crc32.ts';
import type { Range } from '../disk/volume.ts';
import { crcShift, joinCrc } from '../pack/crc.ts';
import { JoinedFile, type Stretch } from '../pack/joined.ts';
import { inOrder } from '../pack/ordered.ts';
import { differing, readSurvey, type Survey, touching } from '../pack/survey.ts';
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
    const survey = await readSurvey(inputs.disk, options.board);
    const threads = new Threads({ signal: workshop.signal });
    const total = survey.size * options.hostnames.length;
    let done = 0;
    let first: Packed | undefined;
    const ends: Promise<void>[] = [];
    try {
      for (const hostname of options.hostnames) {
        const packed = pack(hostname, { survey, options, inputs, first, threads, signal: workshop.signal });
        const meta = {
          '.meta/manifest.json': etcherManifest(options, hostname),
          '.meta/image.bmap': await readFile(join(inputs.bmap, `${hostname}.img.bmap`)),
        };
        const { pieces, end } = await writeZip(packed, {
          target: join(workshop.result, `${hostname}.img.zip`),
          name: `${hostname}.img`,
          size: survey.size,
          meta,
          epoch: options.epoch,
          wrote: (bytes) => {
            done += bytes;
            workshop.progress(done, total);
          },
        });
        first ??= { hostname, pieces };
        end.catch(() => {}); // it is awaited below
        ends.push(end);
      }
      await Promise.all(ends);
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

/** Deflated bytes that are in a zip already. */
interface Written extends Stretch {
  readonly crc: number;
}

/** A piece of an image; `length` is that of the plain bytes. */
type Piece = (Deflated | Written) & { readonly length: number };

/** The first zip of a board. */
interface Packed {
  readonly hostname: string;
  readonly pieces: readonly Written[];
}

interface PackWork {
  readonly survey: Survey;
  readonly options: Pick<ZipOptions, 'level' | 'zlib'>;
  readonly inputs: { readonly disk: string; readonly chunks: string };
  readonly first: Packed | undefined;
  readonly threads: Threads;
  readonly signal: AbortSignal;
}

/** An image's pieces in order. What is as in the first image of the board is taken from its zip. */
function pack(hostname: string, work: PackWork): AsyncGenerator<Piece> {
  const { survey, options, inputs, first, threads, signal } = work;
  const file = join(inputs.disk, `${hostname}.img`);
  const job = {
    level: options.level,
    folder: join(inputs.chunks, `deflate-${options.level}-${options.zlib}`),
  };
  const holds = touching(survey.runs);
  const differs = touching(first === undefined ? survey.runs : differing(survey, first.hostname, hostname));
  const zeros = new Map<number, Promise<Deflated>>();
  const piece = async (range: Range): Promise<Piece> => {
    const { start: at, end } = range;
    const length = end - at;
    const same = differs(range) ? undefined : first?.pieces[at / chunk];
    if (same !== undefined) return { length, ...same };
    if (holds(range)) return { length, ...(await threads.deflate({ ...job, file, at, length })) };
    const made = zeros.get(length) ?? threads.deflate({ ...job, at, length });
    zeros.set(length, made);
    return { length, ...(await made) };
  };
  return inOrder(chunksOf(survey.size), { ahead: 4 * threads.count, signal }, piece);
}

function* chunksOf(size: number): Generator<Range> {
  for (let start = 0; start < size; start += chunk) yield { start, end: Math.min(size, start + chunk) };
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

/** Writes a zip, and gives where the pieces of its image are, and when it is on the medium. */
async function writeZip(
  pieces: AsyncIterable<Piece>,
  { target, name, size, meta, epoch, wrote }: ZipWork,
): Promise<{ pieces: Written[]; end: Promise<void> }> {
  const output = new JoinedFile(target);
  const written: Written[] = [];
  try {
    const begun: ZipEntry = { name, size, compressedSize: 0, crc: 0, deflated: true, at: 0 };
    const room = localHeader(begun, epoch);
    output.append(room);
    let crc = 0;
    for await (const piece of pieces) {
      const { at } = output;
      if ('bytes' in piece) output.append(piece.bytes);
      else output.appendFrom(piece);
      written.push({ crc: piece.crc, file: target, at, size: output.at - at });
      crc = joinCrc(crc, piece.crc, shiftOf(piece.length));
      wrote(piece.length);
    }
    output.append(lastBlock);
    const image = { ...begun, crc, compressedSize: output.at - room.length };
    output.write(localHeader(image, epoch), 0);
    const entries = [image];
    for (const [path, bytes] of Object.entries(meta)) {
      const facts = { size: bytes.length, compressedSize: bytes.length, crc: crc32(bytes) };
      const entry = { name: path, ...facts, deflated: false, at: output.at };
      entries.push(entry);
      output.append(localHeader(entry, epoch));
      output.append(bytes);
    }
    output.append(directory(entries, output.at, epoch));
  } catch (error) {
    output.close();
    throw error;
  }
  return { pieces: written, end: output.end() };
}

const shifts = new Map<number, number>();

/** `crcShift`, which is the same for nearly all pieces. */
function shiftOf(length: number): number {
  const shift = shifts.get(length) ?? crcShift(length);
  shifts.set(length, shift);
  return shift;
}
