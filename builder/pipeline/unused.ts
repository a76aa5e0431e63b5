// Clears away what builds made on their way and no build has used for long: results of stages, deflated pieces. Both
// are marked when they are used (`ResultStore.find`, `pack/program.ts`); whatever is missed is made again.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Collected } from '../artifacts/gc.ts';
import { sweepPartials } from './partial.ts';

/** Name of the folder of deflated pieces, among the results. */
export const chunksFolder = 'chunks';

/** Removes, or with `dry` counts, what was not used since `before` (milliseconds since 1970). `folder` is that of the results. */
export async function collectUnused(
  folder: string,
  { before, dry }: { readonly before: number; readonly dry: boolean },
): Promise<Collected> {
  if (!dry) await sweepPartials(folder);
  const results = (await namesIn(folder)).filter((name) => /^[a-z]+-[0-9a-f]{32}$/.test(name));
  const levels = await namesIn(join(folder, chunksFolder));
  const shelves = await Promise.all(
    levels.map(async (level) => {
      const below = join(folder, chunksFolder, level);
      return (await namesIn(below)).map((name) => join(below, name));
    }),
  );
  const chunks = await Promise.all(
    shelves.flat().map(async (shelf) => (await namesIn(shelf)).map((name) => join(shelf, name))),
  );
  let files = 0;
  let bytes = 0;
  for (const path of [...results.map((name) => join(folder, name)), ...chunks.flat()]) {
    const state = await stat(path).catch(() => undefined);
    if (state === undefined || state.mtimeMs >= before) continue;
    const inside = state.isDirectory()
      ? await Promise.all((await namesIn(path)).map((name) => stat(join(path, name))))
      : [state];
    files += inside.length;
    bytes += inside.reduce((sum, { blocks }) => sum + blocks * 512, 0);
    if (!dry) await rm(path, { recursive: true, force: true });
  }
  return { files, bytes };
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort();
}
