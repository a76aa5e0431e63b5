// The administrator's kubeconfig, and how a client comes to trust a server's CA.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Failure } from '../../formats/errors.ts';
import { type Authorities, hashOf, passwordOf, writeSecret } from './authority.ts';
import { issue } from './certificate.ts';
import { ask } from './client.ts';
import { dataFolder, type Options } from './options.ts';
import { pause } from './pace.ts';

const place = '/etc/rancher/k3s/k3s.yaml';

/** The CA a server shows. A full token names its hash; a short one trusts what it sees, as k3s does. */
export async function authorityOf(server: string, token: string): Promise<string> {
  const { hash } = passwordOf(token);
  for (;;) {
    try {
      const got = await ask(`${server}/cacerts`);
      if (got.status === 200) {
        const shown = hashOf(got.text);
        if (hash === undefined || hash === shown) return got.text;
        const what = `token CA hash does not match the Cluster CA certificate hash: ${hash} != ${shown}`;
        throw new Failure('environment', { what });
      }
    } catch (error) {
      if (error instanceof Failure) throw error;
      process.stderr.write(`failed to get CA certs: ${error instanceof Error ? error.message : error}\n`);
    }
    await pause(1_000);
  }
}

export function adminConfig(options: Options, authorities: Authorities, server: string): void {
  const subject = { commonName: 'system:admin', organizations: ['system:masters'] };
  const pair = issue(authorities['client-ca'], subject, 'client', [], Date.now());
  const tls = join(dataFolder(options), 'server', 'tls');
  writeSecret(join(tls, 'client-admin.crt'), pair.certificate);
  writeSecret(join(tls, 'client-admin.key'), pair.key);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const text = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${base64(authorities['server-ca'].certificate)}
    server: ${server}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: ${base64(pair.certificate)}
    client-key-data: ${base64(pair.key)}
`;
  writeSecret(options.one('write-kubeconfig') ?? place, text);
}

interface Config {
  readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
  readonly users: readonly { readonly user: Readonly<Record<string, string>> }[];
}

/** Asks the API as the administrator of a kubeconfig: the one of the server here, if none is given. */
export async function askAsAdmin(method: string, path: string, body?: unknown, file = place) {
  if (!existsSync(file)) throw new Failure('environment', { what: 'no server here', where: file });
  const config: Config = parse(readFileSync(file, 'utf8'));
  const cluster = config.clusters[0]?.cluster ?? {};
  const user = config.users[0]?.user ?? {};
  const plain = (text: string | undefined) => Buffer.from(text ?? '', 'base64').toString('utf8');
  const ca = plain(cluster['certificate-authority-data']);
  const cert = plain(user['client-certificate-data']);
  const key = plain(user['client-key-data']);
  return { ...(await ask(`${cluster['server']}${path}`, { method, ca, cert, key, body })), ca };
}
