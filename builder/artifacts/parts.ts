// Downloads that are under way: one file for each digest and process, taken over when its process is gone.
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from './sha256.ts';
import type { Store } from './store.ts';

/**
 * The path that this process writes a download to. What a process that no longer runs has left of it is taken over;
 * two processes that fetch the same file do not meet.
 */
export async function claimPart(store: Store, sha256: Sha256): Promise<string> {
  const folder = await store.incoming();
  const mine = join(folder, partName(sha256, process.pid));
  for (const name of await readdir(folder)) {
    const [, digest, owner] = /^([0-9a-f]{64})\.(\d+)\.part$/.exec(name) ?? [];
    if (digest !== sha256 || owner === undefined || isAlive(Number(owner))) continue;
    // Another process may be quicker: then there is nothing left to take over.
    const took = await rename(join(folder, name), mine).then(
      () => true,
      () => false,
    );
    if (took) break;
  }
  return mine;
}

function partName(sha256: Sha256, pid: number): string {
  return `${sha256}.${pid}.part`;
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
