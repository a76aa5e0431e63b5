// Seeds over worker threads, one a core. The simulator is bundled first: workers load no TypeScript by themselves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build, type Plugin } from 'esbuild';
import type { Batch } from './summary.ts';

/** Seeds a worker runs between two reports. */
const batchSize = 250;

/** The simulator's worker as one file; with plugins, as another simulator (see test/formation). */
export async function bundleWorker(outfile: string, plugins: readonly Plugin[] = []): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    logLevel: 'silent',
    plugins: [...plugins],
    banner: {
      js: "import { createRequire as kilnRequire } from 'node:module';const require = kilnRequire(import.meta.url);",
    },
  });
}

/** Sites that form, or servers over days (servers.ts). */
export type Worlds = 'sites' | 'servers';

/** Runs seeds `from` to `from + count` on `workers` threads; `enough` may end it early. */
export async function runOnWorkers(
  script: string,
  from: number,
  count: number,
  workers: number,
  enough: (batch: Batch) => boolean = () => false,
  worlds: Worlds = 'sites',
): Promise<readonly Batch[]> {
  const batches: Batch[] = [];
  let next = from;
  const end = from + count;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(script);
      const feed = (): void => {
        if (next >= end) {
          worker.terminate().then(() => resolve(), reject);
          return;
        }
        const size = Math.min(batchSize, end - next);
        worker.postMessage({ from: next, count: size, worlds });
        next += size;
      };
      worker.on('message', (batch: Batch) => {
        batches.push(batch);
        if (enough(batch)) next = end;
        feed();
      });
      worker.on('error', reject);
      feed();
    });
  await Promise.all(Array.from({ length: workers }, one));
  return batches;
}

/** Bundles, runs and cleans up; `said` hears of each batch as it ends. */
export async function runPool(
  from: number,
  count: number,
  workers: number,
  said: (batch: Batch) => void = () => {},
): Promise<readonly Batch[]> {
  const folder = mkdtempSync(join(tmpdir(), 'simulated-'));
  try {
    const script = join(folder, 'worker.mjs');
    await bundleWorker(script);
    const watch = (batch: Batch): boolean => {
      said(batch);
      return false;
    };
    return await runOnWorkers(script, from, count, workers, watch);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
