// Whether files are still what a build made: by size and time of change, which costs nothing to look at. What was cut
// short, edited or lost is noticed; a bit that turned on the medium is not (`verify` reads every byte).
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Size in bytes and time of change in milliseconds, by name. */
export type FileStates = Readonly<Record<string, readonly [size: number, mtimeMs: number]>>;

/** The states of all files directly in a folder. */
export async function statesIn(folder: string): Promise<FileStates> {
  const states: Record<string, readonly [number, number]> = {};
  for (const name of (await readdir(folder)).sort()) {
    const { size, mtimeMs } = await stat(join(folder, name));
    states[name] = [size, mtimeMs];
  }
  return states;
}

/** Whether each of these files is in the folder, and as it was. */
export async function areWhole(folder: string, states: FileStates): Promise<boolean> {
  for (const [name, [size, mtimeMs]] of Object.entries(states)) {
    const state = await stat(join(folder, name)).catch(() => undefined);
    if (state === undefined || state.size !== size || state.mtimeMs !== mtimeMs) return false;
  }
  return true;
}

/** Whether a text is the JSON of such states. */
export function isFileStates(value: unknown): value is FileStates {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every(
    (state) => Array.isArray(state) && state.length === 2 && state.every(Number.isFinite),
  );
}
