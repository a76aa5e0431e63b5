// Which ranges of a board's images carry data, beside the images: the plan knows, and nobody looks for zeros later.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import type { Range } from '../disk/volume.ts';

const schema = z.strictObject({
  version: z.literal(1),
  /** Bytes of an image. */
  size: z.int(),
  /** Start and end in bytes, ascending. */
  mapped: z.array(z.tuple([z.int(), z.int()])),
});

export interface Mapped {
  readonly size: number;
  readonly ranges: readonly Range[];
}

export async function writeMapped(folder: string, board: string, { size, ranges }: Mapped): Promise<void> {
  const mapped = ranges.map(({ start, end }) => [start, end]);
  await writeFile(fileOf(folder, board), `${JSON.stringify({ version: 1, size, mapped })}\n`);
}

export async function readMapped(folder: string, board: string): Promise<Mapped> {
  const file = fileOf(folder, board);
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Failure('io', {
      what: 'the map of the images cannot be read',
      where: file,
      why: error.message,
    });
  });
  const { size, mapped } = schema.parse(JSON.parse(text));
  return { size, ranges: mapped.map(([start, end]) => ({ start, end })) };
}

function fileOf(folder: string, board: string): string {
  return join(folder, `.edgekiln-${board}.mapped`);
}
