import { defineConfig } from 'vitest/config';

/** Chains that take long; `npm run test:long`. Power cuts also run by command, as many as wished. */
const long = [
  ...['data', 'slots', 'outputs', 'space', 'ext4-large', 'lan'].map((name) => `test/chains/${name}.test.ts`),
];
const wanted = process.env['EDGEKILN_CHAINS'] === 'long';

/** Whole chains: images are built and booted. One at a time: they share the machine's two cores with QEMU. */
export default defineConfig({
  test: {
    root: `${import.meta.dirname}/..`,
    include: wanted ? long : ['test/chains/**/*.test.ts'],
    exclude: wanted ? [] : long,
    testTimeout: 300_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
