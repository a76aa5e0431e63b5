// One thread of the pool: runs the seeds it is told to.
import { parentPort } from 'node:worker_threads';
import type { Worlds } from './pool.ts';
import { runSeeds, runServerSeeds } from './summary.ts';

parentPort?.on('message', ({ from, count, worlds }: { from: number; count: number; worlds: Worlds }) => {
  parentPort?.postMessage(worlds === 'sites' ? runSeeds(from, count) : runServerSeeds(from, count));
});
