// The short verbs: tokens of agents, snapshots, and a raw look at the API. They ask the server that runs here.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { hashOf, writeSecret } from './authority.ts';
import { LogDisk } from './disk.ts';
import { askAsAdmin } from './kubeconfig.ts';
import { dataFolder, readOptions } from './options.ts';

const secrets = '/api/v1/namespaces/kube-system/secrets';

/** Runs a verb; its answer goes to stdout. Undefined where the stand-in has no such verb. */
export async function runCommand(verb: string, args: readonly string[]): Promise<string | undefined> {
  const [action = '', ...rest] = args;
  if (verb === 'token' && action === 'create') return await createToken(rest);
  if (verb === 'token' && action === 'list') return await listTokens();
  if (verb === 'token' && action === 'delete') return await deleteTokens(rest);
  if (verb === 'etcd-snapshot' && action === 'save') return await saveSnapshot(rest);
  if (verb === 'kubectl' && action === 'get' && rest[0] === '--raw') {
    return (await asked('GET', rest[1] ?? '/')).text;
  }
  return undefined;
}

async function asked(method: string, path: string, body?: unknown, kubeconfig?: string) {
  const got = await askAsAdmin(method, path, body, kubeconfig);
  if (got.status >= 300)
    throw new Failure('environment', { what: `${method} ${path}: ${got.status}`, why: got.text });
  return got;
}

async function createToken(args: readonly string[]): Promise<string> {
  const options = readOptions(args);
  const id = randomBytes(3).toString('hex');
  const secret = randomBytes(8).toString('hex');
  const ttl = durationOf(options.one('ttl') ?? '24h');
  const text: Record<string, string> = {
    'token-id': id,
    'token-secret': secret,
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    'auth-extra-groups': 'system:bootstrappers:k3s:default-node-token',
  };
  if (ttl > 0) text['expiration'] = `${new Date(Date.now() + ttl).toISOString().slice(0, 19)}Z`;
  const description = options.one('description');
  if (description !== undefined) text['description'] = description;
  const data = Object.fromEntries(
    Object.entries(text).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  );
  const metadata = { name: `bootstrap-token-${id}`, namespace: 'kube-system' };
  const token = { metadata, type: 'bootstrap.kubernetes.io/token', data };
  const { ca } = await asked('POST', secrets, token, options.one('kubeconfig'));
  return `K10${hashOf(ca)}::${id}.${secret}`;
}

async function listTokens(): Promise<string> {
  const { items }: { items: readonly { metadata: { name: string }; data?: Record<string, string> }[] } =
    JSON.parse((await asked('GET', secrets)).text);
  const tokens = items.filter((item) => item.metadata.name.startsWith('bootstrap-token-'));
  const text = (value: string | undefined) => Buffer.from(value ?? '', 'base64').toString('utf8');
  const rows = tokens.map(({ data = {} }) =>
    [text(data['token-id']), text(data['expiration']) || '<forever>', text(data['description'])].join('\t'),
  );
  return ['TOKEN\tEXPIRES\tDESCRIPTION', ...rows].join('\n');
}

async function deleteTokens(ids: readonly string[]): Promise<string> {
  for (const id of ids) await asked('DELETE', `${secrets}/bootstrap-token-${id.split('.')[0]}`);
  return ids.map((id) => `bootstrap token "${id}" deleted`).join('\n');
}

async function saveSnapshot(args: readonly string[]): Promise<string> {
  const options = readOptions(args);
  await asked('GET', '/readyz');
  const folder = join(dataFolder(options), 'server', 'db');
  const kept = new LogDisk(join(folder, 'etcd', 'member')).read();
  if (kept === undefined) throw new Failure('environment', { what: 'etcd datastore is not started' });
  const name = `${options.one('name') ?? 'on-demand'}-${Math.floor(Date.now() / 1000)}`;
  mkdirSync(join(folder, 'snapshots'), { recursive: true, mode: 0o700 });
  writeSecret(join(folder, 'snapshots', name), JSON.stringify(kept));
  return `Snapshot ${name} saved.`;
}

/** Milliseconds of `90s`, `5m`, `24h` or a sum of them; 0 is for ever. */
function durationOf(text: string): number {
  const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3600_000 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([smh])/g)];
  return parts.reduce((sum, [, count = '0', unit = 's']) => sum + Number(count) * (units[unit] ?? 0), 0);
}
