import { defineConfig } from 'vitest/config';

const isReal = process.env['EDGEKILN_K3S'] !== undefined;

/**
 * The contract of k3s, and the agent's chains on it, against the stand-in or, with EDGEKILN_K3S, a real k3s. Needs root:
 * hosts are namespaces.
 */
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/{k3s,namespaces}/*.test.ts'],
    testTimeout: 1_200_000,
    hookTimeout: 600_000,
    // A real k3s has the machine for itself.
    fileParallelism: !isReal,
    maxWorkers: 3,
  },
});
