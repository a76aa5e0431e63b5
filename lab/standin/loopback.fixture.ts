// A server of the stand-in on an address of this machine's own loopback, without a node and without root: for tests of
// what speaks with the API of k3s.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Loopback {
  readonly address: string;
  stop(): Promise<void>;
}

let opened = 0;

/**
 * Starts it with the folders of a device below `root`, as a founder or, with `join`, as the next server of a cluster;
 * returns when its API answers.
 */
export async function openLoopback(
  root: string,
  joins?: { readonly server: Loopback; readonly token: string },
): Promise<Loopback> {
  // All of 127/8 is this machine's; the process's number keeps tests apart that run at the same time.
  opened += 1;
  const address = `127.${1 + (process.pid % 250)}.${(process.pid >> 8) % 250}.${opened}`;
  const kubeconfig = join(root, 'etc/rancher/k3s/k3s.yaml');
  const begin =
    joins === undefined
      ? ['--cluster-init']
      : ['--server', `https://${joins.server.address}:6443`, '--token', joins.token];
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join(import.meta.dirname, 'program.ts'), 'server', '--disable-agent'],
      ...['--data-dir', join(root, 'var/lib/rancher/k3s'), '--write-kubeconfig', kubeconfig],
      ...[
        '--node-ip',
        address,
        '--bind-address',
        address,
        '--node-name',
        `n${opened}`,
        '--config',
        '/nowhere',
      ],
      ...begin,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, EDGEKILN_STANDIN_PACE: '0.01' } },
  );
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  for (let waited = 0; !said.includes('is up and running'); waited += 50) {
    if (child.exitCode !== null || waited > 30_000) {
      await stop();
      throw new Error(`the stand-in does not serve: ${said}`);
    }
    await sleep(50);
  }
  if (!existsSync(kubeconfig)) throw new Error('it serves without a kubeconfig');
  return { address, stop };
}
