// Bundles the programs: the command line of the build machine, and what goes onto devices as single files:
// the agent and the stand-in for k3s.
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

const programs = [
  { entry: 'builder/cli.ts', file: 'dist/edgekiln.mjs', minify: false },
  { entry: 'firstboot/agent.ts', file: 'dist/edgekiln-node.mjs', minify: true },
  { entry: 'lab/standin/program.ts', file: 'dist/k3s-stand-in.mjs', minify: true },
];

for (const { entry, file, minify } of programs) {
  await build({ ...common, entryPoints: [entry], outfile: file, minify });
  chmodSync(file, 0o755);
}
