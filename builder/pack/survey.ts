// What is known of a board's images, beside them: which ranges carry data, as the plan says it (nobody looks for zeros
// later), and the digests that several outputs need. Each image is read once for all of them.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import type { Range } from '../disk/volume.ts';
import { blockRanges } from './bmap.ts';
import type { Copy, Threads } from './threads.ts';

const digest = z.string().length(64);
const schema = z.strictObject({
  version: z.literal(2),
  /** Bytes of an image. */
  size: z.int(),
  /** Start and end of what carries data, in whole blocks, ascending, not touching. */
  runs: z.array(z.tuple([z.int(), z.int()])),
  /** By host name; digests of the runs in their order. */
  images: z.record(z.string(), z.strictObject({ sha256: digest, runs: z.array(digest) })),
});

export interface Survey {
  readonly size: number;
  readonly runs: readonly Range[];
  readonly images: Readonly<Record<string, Digests>>;
}

/** SHA-256 (hex) of an image and of each run of blocks that carries data. */
export interface Digests {
  readonly sha256: string;
  readonly runs: readonly string[];
}

interface Image {
  readonly size: number;
  readonly mapped: readonly Range[];
}

/** Reads an image once for its digests. */
export async function surveyImage(file: string, { size, mapped }: Image, threads: Threads): Promise<Digests> {
  const ranges = blockRanges(mapped);
  const { sha256, runs } = await threads.survey({ file, size, ranges, wanted: ranges.map(() => true) });
  return { sha256, runs: runs.map((digest) => digest ?? '') };
}

/** Copies an image but for some bytes, and gives the digests of the copy. What it shares is not digested by itself again. */
export async function copyImage(
  file: string,
  { size, mapped }: Image,
  {
    threads,
    copy,
    digests,
  }: { readonly threads: Threads; readonly copy: Copy; readonly digests: Promise<Digests> },
): Promise<Digests> {
  const ranges = blockRanges(mapped);
  const { at, bytes } = copy.but;
  const wanted = ranges.map(({ start, end }) => start < at + bytes.length && end > at);
  const { sha256, runs } = await threads.survey({ file, size, ranges, wanted, copy });
  const known = (await digests).runs;
  return { sha256, runs: runs.map((own, index) => own ?? known[index] ?? '') };
}

export async function writeSurvey(
  folder: string,
  board: string,
  { size, mapped, images }: Pick<Survey, 'size' | 'images'> & { readonly mapped: readonly Range[] },
): Promise<void> {
  const runs = blockRanges(mapped).map(({ start, end }) => [start, end]);
  await writeFile(fileOf(folder, board), `${JSON.stringify({ version: 2, size, runs, images })}\n`);
}

export async function readSurvey(folder: string, board: string): Promise<Survey> {
  const file = fileOf(folder, board);
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Failure('io', {
      what: 'the survey of the images cannot be read',
      where: file,
      why: error.message,
    });
  });
  const { size, runs, images } = schema.parse(JSON.parse(text));
  return { size, runs: runs.map(([start, end]) => ({ start, end })), images };
}

/** What is known of one image. */
export function digestsOf(survey: Survey, hostname: string): Digests {
  const found = survey.images[hostname];
  if (found === undefined) throw new Error(`nobody surveyed the image of ${hostname}`);
  return found;
}

/** The runs in which two images of a board differ. */
export function differing(survey: Survey, one: string, other: string): Range[] {
  const [a, b] = [digestsOf(survey, one), digestsOf(survey, other)];
  return survey.runs.filter((_, index) => a.runs[index] !== b.runs[index]);
}

/** Says whether any of the ranges touches one; to be asked in ascending order. */
export function touching(ranges: readonly Range[]): (range: Range) => boolean {
  let index = 0;
  return ({ start, end }) => {
    while (index < ranges.length && (ranges[index]?.end ?? 0) <= start) index++;
    return (ranges[index]?.start ?? Number.POSITIVE_INFINITY) < end;
  };
}

function fileOf(folder: string, board: string): string {
  return join(folder, `.edgekiln-${board}.survey`);
}
