// Bundles the two programs: the command line of the build machine and the agent of the device.
// The agent must be one file: nothing is installed on a device beside it.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS packages inside an ESM bundle ask for `require` and `__dirname`.
  banner: {
    js: "#!/usr/bin/env node\nimport { createRequire as kilnRequire } from 'node:module';\nconst require = kilnRequire(import.meta.url);",
  },
};

await build({ ...common, entryPoints: ['builder/cli.ts'], outfile: 'dist/edgekiln.mjs' });
await build({
  ...common,
  entryPoints: ['firstboot/agent.ts'],
  outfile: 'dist/edgekiln-node.mjs',
  minify: true,
});
chmodSync('dist/edgekiln.mjs', 0o755);
chmodSync('dist/edgekiln-node.mjs', 0o755);
