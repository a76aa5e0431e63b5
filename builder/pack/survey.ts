// What is known of a board's images, beside them: which ranges carry data, as the plan says it (nobody looks for zeros
// later), and the digests that several outputs need. They are made of the first image while it is written; the others
// are its copies but for a stamp.
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import type { Range, Volume } from '../disk/volume.ts';
import { readBeside } from './beside.ts';
import { blockRanges } from './bmap.ts';
import type { Threads } from './threads.ts';

const digest = z.string().length(64);
const schema = z.strictObject({
  version: z.literal(3),
  /** Bytes of an image. */
  size: z.int(),
  /** Start and end of what carries data, in whole blocks, ascending, cut where a chunk ends. */
  runs: z.array(z.tuple([z.int(), z.int()])),
  /** By host name: digests of the runs in their order, and of the chunks that carry data. */
  images: z.record(
    z.string(),
    z.strictObject({ runs: z.array(digest), chunks: z.array(z.tuple([z.int(), digest])) }),
  ),
});

/** Bytes of a chunk: what is packed at a time, each for itself, so as much as stays the same from build to build. */
export const chunk = 1024 * 1024;

export interface Survey {
  readonly size: number;
  readonly runs: readonly Range[];
  readonly images: Readonly<Record<string, Digests>>;
}

/** SHA-256 (hex) of each run of an image, and of each chunk that carries data, by its index; what is a hole counts as zeros. */
export interface Digests {
  readonly runs: readonly string[];
  readonly chunks: ReadonlyMap<number, string>;
}

/** A volume whose bytes can be read behind the writer: `written` says how far it is. */
export class Following {
  readonly written = new SharedArrayBuffer(8);
  readonly volume: Volume;
  readonly #reached = new BigInt64Array(this.written);
  #stopped = false;

  constructor(volume: Volume) {
    this.volume = {
      ...volume,
      write: async (output) => {
        let reached = 0;
        await volume.write({
          write: (at, bytes) => {
            if (this.#stopped) throw new Failure('interrupted', { what: 'writing was stopped' });
            if (at < reached) throw new Error(`a volume wrote byte ${at} after byte ${reached}`);
            output.write(at, bytes);
            reached = at + bytes.length;
            this.#tell(reached);
          },
        });
        this.#tell(volume.size);
      },
    };
  }

  /** Has the writer fail at its next write. */
  stop(): void {
    this.#stopped = true;
  }

  #tell(bytes: number): void {
    Atomics.store(this.#reached, 0, BigInt(bytes));
    Atomics.notify(this.#reached, 0);
  }
}

/** Copies that one thread makes. */
const together = 4;

interface Surveying {
  readonly threads: Threads;
  /** Gets a digest of its own, of what it maps. */
  readonly part: Range;
  /** Files that become copies of the image. */
  readonly copies: readonly string[];
  /** Left out: the image is whole. */
  readonly written?: SharedArrayBuffer;
}

/** Reads an image behind its writer, for its digests and its copies. */
export async function surveyImage(
  file: string,
  { size, mapped }: Pick<Volume, 'size' | 'mapped'>,
  { threads, copies, ...job }: Surveying,
): Promise<Digests & { readonly part: string }> {
  const ranges = runsOf(mapped);
  // One thread keeps up with the writer for a few copies; for many, each makes some. All find the same digests.
  const groups = [copies.slice(0, together)];
  for (let at = together; at < copies.length; at += together) groups.push(copies.slice(at, at + together));
  const [surveyed] = await Promise.all(
    groups.map((group) => threads.survey({ file, size, chunk, ranges, copies: group, ...job })),
  );
  if (surveyed === undefined) throw new Error('there is at least one group');
  return { runs: surveyed.runs, chunks: new Map(surveyed.chunks), part: surveyed.part };
}

/** The digests of an image that parts from a surveyed one in some bytes only. */
export async function surveyAgain(
  file: string,
  { size, mapped }: Pick<Volume, 'size' | 'mapped'>,
  { threads, but, known }: { readonly threads: Threads; readonly but: Range; readonly known: Digests },
): Promise<Digests> {
  const runs = runsOf(mapped);
  const index = (range: Range) => Math.floor(range.start / chunk);
  const changed = new Set(runs.filter(({ start, end }) => start < but.end && end > but.start).map(index));
  const ranges = runs.filter((run) => changed.has(index(run)));
  const part = { start: 0, end: 0 };
  const anew = await threads.survey({ file, size, chunk, ranges, part, copies: [] });
  const digests = new Map(ranges.map(({ start }, at) => [start, anew.runs[at]]));
  return {
    runs: runs.map(({ start }, at) => digests.get(start) ?? known.runs[at] ?? ''),
    chunks: new Map([...known.chunks, ...anew.chunks]),
  };
}

/** Ranges in whole blocks, cut where a chunk ends. */
function runsOf(mapped: readonly Range[]): Range[] {
  return blockRanges(mapped).flatMap(({ start, end }) => {
    const runs: Range[] = [];
    for (let at = start; at < end; at = runs.at(-1)?.end ?? end)
      runs.push({ start: at, end: Math.min(end, (Math.floor(at / chunk) + 1) * chunk) });
    return runs;
  });
}

export async function writeSurvey(
  folder: string,
  board: string,
  { size, mapped, images }: Pick<Volume, 'size' | 'mapped'> & Pick<Survey, 'images'>,
): Promise<void> {
  const contents: z.input<typeof schema> = {
    version: 3,
    size,
    runs: runsOf(mapped).map(({ start, end }) => [start, end]),
    images: Object.fromEntries(
      Object.entries(images).map(([hostname, { runs, chunks }]) => {
        return [hostname, { runs: [...runs], chunks: [...chunks].sort(([a], [b]) => a - b) }];
      }),
    ),
  };
  await writeFile(fileOf(folder, board), `${JSON.stringify(contents)}\n`);
}

export async function readSurvey(folder: string, board: string): Promise<Survey> {
  const file = fileOf(folder, board);
  const { size, runs, images } = await readBeside(file, 'the survey of the images cannot be read', schema);
  return {
    size,
    runs: runs.map(([start, end]) => ({ start, end })),
    images: Object.fromEntries(
      Object.entries(images).map(([hostname, digests]) => {
        return [hostname, { runs: digests.runs, chunks: new Map(digests.chunks) }];
      }),
    ),
  };
}

/** What is known of one image. */
export function digestsOf(survey: Survey, hostname: string): Digests {
  const found = survey.images[hostname];
  if (found === undefined) throw new Error(`nobody surveyed the image of ${hostname}`);
  return found;
}

/** An image's chunks in their order; one without a digest is a hole. */
export function* chunksOf(
  survey: Survey,
  hostname: string,
): Generator<Range & { readonly digest: string | undefined }> {
  const { chunks } = digestsOf(survey, hostname);
  for (let index = 0, start = 0; start < survey.size; index++, start += chunk)
    yield { start, end: Math.min(survey.size, start + chunk), digest: chunks.get(index) };
}

const zeros = new Map<number, string>();

/** SHA-256 (hex) of so many zeros; the same length comes for nearly all holes. */
export function digestOfZeros(length: number): string {
  const digest = zeros.get(length) ?? createHash('sha256').update(new Uint8Array(length)).digest('hex');
  zeros.set(length, digest);
  return digest;
}

function fileOf(folder: string, board: string): string {
  return join(folder, `.edgekiln-${board}.survey`);
}
