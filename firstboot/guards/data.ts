// Says early that data fills up: a cluster whose datastore cannot be written stops.
import { statfs } from 'node:fs/promises';
import { type BootRecord, dataIsUsable } from '../boot/record.ts';

/** Less than this is nearly full: a share of the filesystem, but never less than so many bytes. */
const share = 0.05;
const atLeast = 64 * 1024 * 1024;

/** What is wrong with the room on a filesystem, both in bytes; undefined when there is enough. */
export function roomProblem(free: number, size: number): string | undefined {
  if (free >= Math.max(atLeast, size * share)) return undefined;
  return `nearly full: ${Math.floor(free / 1024 / 1024)} MiB are free`;
}

/** Throws what is wrong with the room on data, where data is in use. */
export async function refuseFullData(folder: string, record: BootRecord): Promise<void> {
  if (!dataIsUsable(record.data.state)) return;
  const { bavail, blocks, bsize } = await statfs(folder);
  const problem = roomProblem(bavail * bsize, blocks * bsize);
  if (problem !== undefined) throw new Error(problem);
}
