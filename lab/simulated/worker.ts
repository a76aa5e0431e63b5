// One thread of the pool: runs the seeds it is told to.
import { parentPort } from 'node:worker_threads';
import { runSeeds } from './summary.ts';

parentPort?.on('message', ({ from, count }: { from: number; count: number }) => {
  parentPort?.postMessage(runSeeds(from, count));
});
