// SHA-256 of files that leave, known when they are made: in a file beside them, so that nobody reads them again.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readBeside } from './beside.ts';

/** SHA-256 (hex) by the name of the file. */
export type Sums = Readonly<Record<string, string>>;

const schema = z.record(z.string(), z.string().length(64));

/** `part` tells apart what several stages put into one folder. */
export async function writeSums(folder: string, part: string, sums: Sums): Promise<void> {
  await writeFile(fileOf(folder, part), `${JSON.stringify(sums)}\n`);
}

export function readSums(folder: string, part: string): Promise<Sums> {
  return readBeside(fileOf(folder, part), 'digests of files that were made cannot be read', schema);
}

function fileOf(folder: string, part: string): string {
  return join(folder, `.edgekiln-${part}.sums`);
}
