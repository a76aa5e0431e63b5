// The node: what kubelet does as far as the cluster sees it. It runs no containers.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { passwordOf, writeSecret } from './authority.ts';
import { ask, basic } from './client.ts';
import { withCondition } from './duties.ts';
import { dataFolder, nodeAddress, type Options } from './options.ts';
import { leaseEvery, paced, pause } from './pace.ts';
import { isObject, type Json, type JsonObject } from './state.ts';

export const version = 'v0.0.0+edgekiln-stand-in';

const passwordFile = '/etc/rancher/node/password';

export interface Supervisor {
  /** The servers to ask, the best first. */
  servers(): readonly string[];
  readonly ca: string;
  readonly token: string;
  /** An agent's kubeconfig leads to its own load balancer. */
  readonly throughBalancer: boolean;
}

export function nodeName(options: Options): string {
  return (options.one('node-name') ?? hostname()).toLowerCase();
}

/** Authorization for a token: a bootstrap token is a bearer's, a password is the user's it belongs to. */
export function authorizationOf(token: string, user: 'server' | 'node'): string {
  const { password, bootstrap } = passwordOf(token);
  return bootstrap ? `Bearer ${password}` : basic(user, password);
}

/** Registers the node, says that it is Ready and renews its lease for ever. `registered` is called once it is Ready. */
export async function runNode(
  options: Options,
  supervisor: Supervisor,
  registered: () => void,
): Promise<never> {
  const name = nodeName(options);
  const folder = join(dataFolder(options), 'agent');
  await certify(folder, name, supervisor);
  const api = apiOf(folder, supervisor);
  let ready = false;
  for (;;) {
    try {
      if (!ready) {
        await pause(paced('nodeReady') - paced('ready'));
        await register(api, options, name);
        ready = true;
        registered();
      }
      await renew(api, name);
    } catch (error) {
      say(`node ${name}: ${error instanceof Error ? error.message : String(error)}`);
      await pause(ready ? 1_000 : 2_000);
      continue;
    }
    await pause(leaseEvery);
  }
}

/** Gets the kubelet's certificate: with the one it has, else with the token. */
async function certify(folder: string, name: string, supervisor: Supervisor): Promise<void> {
  const password = nodePassword();
  const headers = { 'k3s-node-name': name, 'k3s-node-password': password };
  const own = join(folder, 'client-kubelet');
  for (;;) {
    for (const server of supervisor.servers()) {
      const url = `${server}/v1-k3s/client-kubelet.crt`;
      const { ca, token } = supervisor;
      const pair = existsSync(`${own}.crt`)
        ? { cert: readFileSync(`${own}.crt`, 'utf8'), key: readFileSync(`${own}.key`, 'utf8') }
        : undefined;
      try {
        let got = await ask(url, {
          method: 'POST',
          ca,
          headers,
          ...(pair ?? { authorization: authorizationOf(token, 'node') }),
        });
        if (got.status === 401 && pair !== undefined) {
          const authorization = authorizationOf(token, 'node');
          got = await ask(url, { method: 'POST', ca, headers, authorization });
        }
        if (got.status === 200) return keep(folder, supervisor, JSON.parse(got.text));
        const why = `Node password rejected, duplicate hostname or contents of '${passwordFile}' may not match`;
        say(got.status === 403 ? why : `${url}: ${got.status} ${got.text}`);
      } catch (error) {
        say(`${url}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    await pause(2_000);
  }
}

function keep(folder: string, supervisor: Supervisor, issued: Readonly<Record<string, string>>): void {
  writeSecret(join(folder, 'client-kubelet.crt'), issued['certificate'] ?? '');
  writeSecret(join(folder, 'client-kubelet.key'), issued['key'] ?? '');
  writeSecret(join(folder, 'client-ca.crt'), issued['clientAuthority'] ?? '');
  writeSecret(join(folder, 'server-ca.crt'), supervisor.ca);
  const server = supervisor.throughBalancer ? 'https://127.0.0.1:6444' : supervisor.servers()[0];
  const config = `apiVersion: v1
clusters:
- cluster:
    server: ${server}
    certificate-authority: ${join(folder, 'server-ca.crt')}
  name: local
contexts:
- context:
    cluster: local
    namespace: default
    user: user
  name: Default
current-context: Default
kind: Config
preferences: {}
users:
- name: user
  user:
    client-certificate: ${join(folder, 'client-kubelet.crt')}
    client-key: ${join(folder, 'client-kubelet.key')}
`;
  writeSecret(join(folder, 'kubelet.kubeconfig'), config);
}

/** Kept where it is; a device without one draws its own. */
function nodePassword(): string {
  if (!existsSync(passwordFile)) writeSecret(passwordFile, `${randomBytes(16).toString('hex')}\n`);
  return readFileSync(passwordFile, 'utf8').trim();
}

type Api = (
  method: string,
  path: string,
  body?: Json,
  type?: string,
) => Promise<{ status: number; body: Json }>;

function apiOf(folder: string, supervisor: Supervisor): Api {
  const cert = readFileSync(join(folder, 'client-kubelet.crt'), 'utf8');
  const key = readFileSync(join(folder, 'client-kubelet.key'), 'utf8');
  return async (method, path, body, type) => {
    let last: unknown = new Error('no server');
    for (const server of supervisor.servers()) {
      try {
        const headers = type === undefined ? {} : { 'content-type': type };
        const got = await ask(`${server}${path}`, { method, ca: supervisor.ca, cert, key, headers, body });
        if (got.status >= 500) throw new Error(`${method} ${path}: ${got.status}`);
        return { status: got.status, body: JSON.parse(got.text) };
      } catch (error) {
        last = error;
      }
    }
    throw last;
  };
}

async function register(api: Api, options: Options, name: string): Promise<void> {
  const path = `/api/v1/nodes/${name}`;
  const labels: Record<string, Json> = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
    'kubernetes.io/os': 'linux',
  };
  for (const label of options.all('node-label')) {
    const [key = '', ...value] = label.split('=');
    labels[key] = value.join('=');
  }
  const taints = options.all('node-taint').map((text): JsonObject => {
    const [, key = '', value = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(.+)$/.exec(text) ?? [];
    return value === '' ? { key, effect } : { key, value, effect };
  });
  const status = {
    addresses: [
      { type: 'InternalIP', address: nodeAddress(options) },
      { type: 'Hostname', address: name },
    ],
    nodeInfo: { kubeletVersion: version, operatingSystem: 'linux', containerRuntimeVersion: 'none://0' },
    capacity: { cpu: '1', memory: '1Gi', pods: '0' },
  };
  const bare: JsonObject = {
    metadata: { name, labels },
    spec: taints.length === 0 ? {} : { taints },
    status,
  };
  const known = await api('GET', path);
  if (known.status === 404) {
    const made = await api('POST', '/api/v1/nodes', withCondition(bare, 'Ready', 'True', 'KubeletReady'));
    if (made.status !== 201) throw new Error(`could not register: ${JSON.stringify(made.body)}`);
    return;
  }
  if (known.status !== 200) throw new Error(`could not register: ${JSON.stringify(known.body)}`);
  await api('PATCH', path, { metadata: { labels }, status }, 'application/merge-patch+json');
  await beReady(api, path, known.body);
}

/** Says Ready again where it is not said; conditions of others are kept. */
async function beReady(api: Api, path: string, node: Json): Promise<void> {
  if (!isObject(node)) return;
  const { status } = withCondition(node, 'Ready', 'True', 'KubeletReady');
  await api('PATCH', path, { status: status ?? {} }, 'application/merge-patch+json');
}

async function renew(api: Api, name: string): Promise<void> {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const now = new Date();
  const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime: now.toISOString() };
  const type = 'application/merge-patch+json';
  const renewed = await api('PATCH', `${leases}/${name}`, { spec }, type);
  if (renewed.status === 404) await api('POST', leases, { metadata: { name }, spec });
  const path = `/api/v1/nodes/${name}`;
  const node = await api('GET', path);
  const text = JSON.stringify(isObject(node.body) ? (node.body['status'] ?? {}) : {});
  if (node.status === 200 && /"Unknown"/.test(text)) await beReady(api, path, node.body);
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
