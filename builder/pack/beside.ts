// What a stage leaves beside its files for the stages behind it.
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { Failure } from '../../formats/errors.ts';

/** Reads such a JSON file. One that is gone or torn is an `io` failure that names it as `what`. */
export async function readBeside<Contents>(
  file: string,
  what: string,
  schema: z.ZodType<Contents>,
): Promise<Contents> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'build again, and leave the output folder alone meanwhile';
    throw new Failure('io', { what, where: file, why, fix }, error);
  }
}
