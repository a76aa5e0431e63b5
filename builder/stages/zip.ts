// The zip that balenaEtcher flashes: the image, and in `.meta/` what it is and which of its blocks carry data.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { crc32 } from '../disk/crc32.ts';
import type { Range } from '../disk/volume.ts';
import { crcShift, joinCrc } from '../pack/crc.ts';
import { JoinedFiles } from '../pack/joined.ts';
import { inOrder } from '../pack/ordered.ts';
import { chunksOf, digestOfZeros, readSurvey } from '../pack/survey.ts';
import { type Deflated, type Stretch, Threads } from '../pack/threads.ts';
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

/** The end of a deflate stream whose pieces all end by a sync flush: a last block with nothing in it (RFC 1951). */
const lastBlock = Uint8Array.of(0x03, 0x00);

/** `HOSTNAME.img.zip` for each image of `disk`; `bmap` holds their block maps, `chunks` keeps what was deflated. */
export const zip: Stage<ZipOptions, Readonly<Record<'disk' | 'bmap' | 'chunks', string>>> = {
  name: 'zip',
  summary: 'packs the images for balenaEtcher',
  version: 2,
  schema,
  async run(options, inputs, workshop) {
    const { board, hostnames, epoch } = options;
    const survey = await readSurvey(inputs.disk, board);
    const threads = new Threads({ signal: workshop.signal });
    const deflate = deflater(options, inputs.chunks, threads);
    const joined = new JoinedFiles(threads, workshop);
    let done = 0;
    try {
      for (const hostname of hostnames) {
        const image = join(inputs.disk, `${hostname}.img`);
        const ahead = { ahead: 4 * threads.count, signal: workshop.signal };
        const pieces: Piece[] = [];
        for await (const piece of inOrder(chunksOf(survey, hostname), ahead, (one) => deflate(image, one))) {
          pieces.push(piece);
          done += piece.length;
          workshop.progress(done, survey.size * hostnames.length);
        }
        const meta = {
          '.meta/manifest.json': etcherManifest(options, hostname),
          '.meta/image.bmap': await readFile(join(inputs.bmap, `${hostname}.img.bmap`)),
        };
        const parts = zipOf(pieces, { name: `${hostname}.img`, size: survey.size, meta, epoch });
        joined.add(`${hostname}.img.zip`, parts);
      }
      await joined.end(`${board}-zip`);
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

/** A piece of an image; `length` is that of the plain bytes. */
type Piece = Deflated & { readonly length: number };

/** Deflates chunks of images. What holds the same is deflated once, for all images and builds. */
function deflater(
  { level, zlib }: ZipOptions,
  chunks: string,
  threads: Threads,
): (file: string, chunk: Range & { readonly digest: string | undefined }) => Promise<Piece> {
  const folder = join(chunks, `deflate-${level}-${zlib}`);
  const made = new Map<string, Promise<Deflated>>();
  return async (file, { start: at, end, digest }) => {
    const length = end - at;
    const name = digest ?? digestOfZeros(length);
    const source = digest === undefined ? {} : { file };
    const piece = made.get(name) ?? threads.deflate({ ...source, at, length, level, folder, name });
    made.set(name, piece);
    return { ...(await piece), length };
  };
}

interface Contents {
  /** Name of the image in the zip, and its bytes. */
  readonly name: string;
  readonly size: number;
  readonly meta: Readonly<Record<string, Buffer>>;
  readonly epoch: number;
}

/** What a zip is put together of, from its first byte to its last. */
function zipOf(
  pieces: readonly Piece[],
  { name, size, meta, epoch }: Contents,
): (Stretch | { readonly bytes: Uint8Array })[] {
  const crc = pieces.reduce((sum, piece) => joinCrc(sum, piece.crc, shiftOf(piece.length)), 0);
  const compressedSize = pieces.reduce((sum, piece) => sum + piece.size, lastBlock.length);
  const image: ZipEntry = { name, size, compressedSize, crc, deflated: true, at: 0 };
  const header = localHeader(image, epoch);
  let at = header.length + compressedSize;
  const entries = [image];
  const parts: (Stretch | { readonly bytes: Uint8Array })[] = [
    { bytes: header },
    ...pieces.map((piece) => ({ file: piece.file, at: piece.at, size: piece.size })),
    { bytes: lastBlock },
  ];
  for (const [path, bytes] of Object.entries(meta)) {
    const facts = { size: bytes.length, compressedSize: bytes.length, crc: crc32(bytes) };
    const entry = { name: path, ...facts, deflated: false, at };
    entries.push(entry);
    const own = localHeader(entry, epoch);
    parts.push({ bytes: own }, { bytes });
    at += own.length + bytes.length;
  }
  return [...parts, { bytes: directory(entries, at, epoch) }];
}

const shifts = new Map<number, number>();

/** `crcShift`, which is the same for nearly all pieces. */
function shiftOf(length: number): number {
  const shift = shifts.get(length) ?? crcShift(length);
  shifts.set(length, shift);
  return shift;
}
