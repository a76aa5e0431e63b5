// Tokens for agents, made through the API: the object that `k3s token create` makes, without the seconds that starting
// that program takes on a slow board.
import { randomBytes } from 'node:crypto';
import type { Hash } from '../protocol/terms.ts';
import type { Api } from './api.ts';

/** How long a token of an agent lasts, in milliseconds: it is needed once, for the node's certificates. */
const tokenLasts = 24 * 3600_000;

/**
 * A token for one agent: whoever holds it can join as agent, and as nothing else. `ca` is the cluster's. A bootstrap
 * token of Kubernetes: its id has 6 characters, its secret 16, out of a–z and 0–9.
 */
export async function agentToken(api: Api, ca: Hash, name: string): Promise<string> {
  const id = randomBytes(3).toString('hex');
  const secret = randomBytes(8).toString('hex');
  await api.object('POST', '/api/v1/namespaces/kube-system/secrets', {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
    type: 'bootstrap.kubernetes.io/token',
    data: encoded({
      description: tokenDescription(name),
      'token-id': id,
      'token-secret': secret,
      expiration: `${new Date(Date.now() + tokenLasts).toISOString().slice(0, 19)}Z`,
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': 'system:bootstrappers:k3s:default-node-token',
    }),
  });
  return `K10${ca}::${id}.${secret}`;
}

/** By this a device's tokens are found again when it is revoked. */
export function tokenDescription(name: string): string {
  return `edgekiln ${name}`;
}

function encoded(text: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(text).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
}
