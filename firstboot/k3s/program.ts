// The program k3s itself, run for one answer. As a service it runs as a unit: units.ts.
import { runFile } from '../../formats/programs.ts';
import type { K3sPaths } from './paths.ts';

/** How long a token of an agent lasts: it is needed once, for the node's certificates. */
const tokenLasts = '24h';

/** A token for one agent: whoever holds it can join as agent, and as nothing else. Needs the API of this server. */
export async function agentToken({ program, adminConfig }: K3sPaths, name: string): Promise<string> {
  const said = ['--ttl', tokenLasts, '--description', tokenDescription(name)];
  const { stdout } = await runFile(program, ['token', 'create', '--kubeconfig', adminConfig, ...said], {
    timeout: 30_000,
  });
  const token = stdout.trim().split('\n').at(-1) ?? '';
  if (!/^K10[0-9a-f]{64}::\S+$/.test(token)) throw new Error('k3s token create gave no token');
  return token;
}

/** By this a device's tokens are found again when it is revoked. */
export function tokenDescription(name: string): string {
  return `edgekiln ${name}`;
}
