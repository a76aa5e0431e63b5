import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const tsx = join(import.meta.dirname, '../../node_modules/.bin/tsx');

test.each([
  [['--version'], 0, 'stdout', /^k3s version v0\.0\.0\+edgekiln-stand-in \(DEMO/],
  [['--help'], 0, 'stdout', /forms clusters as k3s does, but runs no containers/],
  [['server', '--cluster-init', '--config', '/nowhere'], 4, 'stderr', /no default routes found/],
  [['crictl', 'ps'], 3, 'stderr', /DEMO: not k3s/],
] as const)('the stand-in says what it is to %j', (args, code, stream, says) => {
  const ended = spawnSync(tsx, [join(import.meta.dirname, 'program.ts'), ...args], { encoding: 'utf8' });
  expect([ended.status, ended[stream]]).toEqual([code, expect.stringMatching(says)]);
});
