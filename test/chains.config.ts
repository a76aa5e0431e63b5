import { defineConfig } from 'vitest/config';

/** Whole chains: images are built and booted. One at a time: they share the machine's two cores with QEMU. */
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/..`,
    include: ['test/chains/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
