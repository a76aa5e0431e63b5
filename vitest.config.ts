import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{builder,firstboot,formats,lab,test}/**/*.test.ts'],
    exclude: ['test/{chains,namespaces,k3s}/**'],
    testTimeout: 60_000,
    maxWorkers: 2,
  },
});
