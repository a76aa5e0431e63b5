// Brings files from a folder or a stick into the store: whatever a lock names, found by its digest under any name.
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import type { Sha256 } from './sha256.ts';
import { digestOf, type Store } from './store.ts';

/** Something that a lock or a profile names. */
export interface Named {
  readonly name: string;
  readonly sha256: Sha256;
  /** Bytes; a file of the profile's own has none written down. */
  readonly size?: number;
}

export interface Imported {
  readonly taken: readonly Named[];
  readonly missing: readonly Named[];
}

/**
 * Takes what is wanted and not yet there. Only files of a wanted size are read; links are not followed; other files
 * are left alone.
 */
export async function importFolder(
  folder: string,
  wanted: readonly Named[],
  store: Store,
  options: { readonly signal: AbortSignal; say(line: string): void },
): Promise<Imported> {
  const missing = new Map<Sha256, Named>();
  for (const one of wanted) if ((await store.find(one.sha256)) === undefined) missing.set(one.sha256, one);
  const taken: Named[] = [];
  for await (const file of filesUnder(folder)) {
    if (options.signal.aborted) throw new Failure('interrupted', { what: 'the import was stopped' });
    if (missing.size === 0) break;
    const { size } = await stat(file);
    if (![...missing.values()].some((one) => one.size === undefined || one.size === size)) continue;
    const { sha256 } = await digestOf(file);
    const found = missing.get(sha256);
    if (found === undefined) continue;
    await store.put(createReadStream(file, { highWaterMark: 1 << 20 }), sha256);
    options.say(`${found.name}: from ${file}`);
    missing.delete(sha256);
    taken.push(found);
  }
  return { taken, missing: [...missing.values()] };
}

/** Plain files in a folder and below it, in the order of their names. */
async function* filesUnder(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'name the folder that holds the files, and see that you may read it';
    throw new Failure('input', { what: 'a folder that cannot be read', where: folder, why, fix }, error);
  });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else if (entry.isFile()) yield path;
  }
}
