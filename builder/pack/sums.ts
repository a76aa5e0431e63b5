// SHA-256 of files that leave, known when they are made: in a file beside them, so that nobody reads them again.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';

/** SHA-256 (hex) by the name of the file. */
export type Sums = Readonly<Record<string, string>>;

const schema = z.record(z.string(), z.string().length(64));

/** `part` tells apart what several stages put into one folder. */
export async function writeSums(folder: string, part: string, sums: Sums): Promise<void> {
  await writeFile(fileOf(folder, part), `${JSON.stringify(sums)}\n`);
}

export async function readSums(folder: string, part: string): Promise<Sums> {
  const file = fileOf(folder, part);
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new Failure('io', {
      what: 'digests of files that were made cannot be read',
      where: file,
      why: error.message,
      fix: 'build again',
    });
  });
  return schema.parse(JSON.parse(text));
}

function fileOf(folder: string, part: string): string {
  return join(folder, `.edgekiln-${part}.sums`);
}
