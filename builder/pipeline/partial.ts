// Folders that results grow in: named by their maker, so that what a dead build left can be told from one at work.
import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A name for a folder of this process. */
export function partialName(): string {
  return `.${process.pid}-${randomBytes(4).toString('hex')}.partial`;
}

/** Removes what builds that run no more left half-made in a folder. */
export async function sweepPartials(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const maker = /^\.(\d+)-[0-9a-f]{8}\.partial$/.exec(name)?.[1];
    if (maker === undefined || isRunning(Number(maker))) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
