// Clears the store of what no lock names.
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256, type Sha256 } from './sha256.ts';
import type { Store } from './store.ts';

export interface Collected {
  readonly files: number;
  readonly bytes: number;
}

/** What came within this time is left: a build may be about to use it. Milliseconds. */
const young = 24 * 60 * 60 * 1000;

/**
 * Removes files that are not in `keep`, and what interrupted downloads left; both only when they are older than a day.
 * With `dry` nothing is removed, only counted.
 */
export async function collectGarbage(
  store: Store,
  keep: ReadonlySet<Sha256>,
  options: { readonly dry: boolean; readonly now?: number },
): Promise<Collected> {
  const oldest = (options.now ?? Date.now()) - young;
  const shelves = await entriesOf(join(store.root, 'sha256'));
  const stored = (await Promise.all(shelves.map(entriesOf))).flat();
  const unwanted = stored.filter((path) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return !(isSha256(name) && keep.has(name));
  });
  const leftovers = await entriesOf(join(store.root, 'incoming'));
  let files = 0;
  let bytes = 0;
  for (const path of [...unwanted, ...leftovers]) {
    // Placing a file in the store sets its change time, whatever its modification time says.
    const state = await stat(path).catch(() => undefined);
    if (state === undefined || state.ctimeMs > oldest) continue;
    files += 1;
    bytes += state.size;
    if (!options.dry) await rm(path, { recursive: true, force: true });
  }
  return { files, bytes };
}

async function entriesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.sort().map((name) => join(folder, name));
}
