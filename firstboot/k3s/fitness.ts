// Whether this board can carry a server's datastore: memory, and how long its disk takes to keep a promise.
import { open, rm } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';

const mebibyte = 1024 * 1024;
/** A server with kubelet and etcd holds some 450 MB; an agent that becomes one holds 180 of them already. */
const leastTotal = 850 * mebibyte;
const leastFree = 200 * mebibyte;
/** etcd with a heartbeat of 500 ms and an election of 5 s stands such a disk; slower ones lose their leader. */
const slowestSync = 500;
const samples = 20;

let measured: Promise<number> | undefined;

/**
 * Why not, in words; undefined when it can. The disk is measured once in an agent's life, but for a slow one: it may just
 * be busy with the images that k3s unpacks, and is measured when it is asked again.
 */
export async function unfitBoard(folder: string): Promise<string | undefined> {
  if (totalmem() < leastTotal)
    return `${Math.round(totalmem() / mebibyte)} MiB of memory are too few for a server`;
  if (freemem() < leastFree) return `only ${Math.round(freemem() / mebibyte)} MiB of memory are free`;
  measured ??= slowSync(folder);
  const own = measured;
  const slow = await own.catch((error: unknown) => {
    if (measured === own) measured = undefined; // such as on a full disk
    throw error;
  });
  if (slow <= slowestSync) return undefined;
  if (measured === own) measured = undefined;
  return `its disk takes ${Math.round(slow)} ms for a sync`;
}

/** Milliseconds of the second slowest of some synced writes of a page: one may meet something else. */
async function slowSync(folder: string): Promise<number> {
  const path = join(folder, '.edgekiln-sync');
  const file = await open(path, 'w', 0o600);
  try {
    const times: number[] = [];
    for (let index = 0; index < samples; index += 1) {
      const begun = performance.now();
      await file.write(Buffer.alloc(4096, index), 0, 4096, index * 4096);
      await file.datasync();
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => b - a)[1] ?? 0;
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
