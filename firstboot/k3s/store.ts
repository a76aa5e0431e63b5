// The cluster whose files are on this disk: what a founder makes, what a joiner is given, and how they are set aside.
// All of it lies in the data directory of k3s, so that it goes where the store goes.
import { createHash, createHmac, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { K3sSetting } from '../../formats/agentconfig.ts';
import { isRecord, parseJson } from '../../formats/json.ts';
import { type Place, place } from '../../formats/roster.ts';
import { replaceFile } from '../boot/replace.ts';
import { authorityCertificate } from '../join/certificate.ts';
import type { Role } from '../protocol/record.ts';
import type { ClusterId, Hash, Identity } from '../protocol/terms.ts';
import type { K3sPaths } from './paths.ts';

export type Options = Readonly<Record<string, K3sSetting>>;

/** cluster.json. Written before k3s starts in the role it names. */
export interface Store {
  readonly identity: Identity;
  readonly role: Role;
  /** k3s was up once in this role: a founder's permit to use `cluster-init` is spent. */
  readonly ready: boolean;
  /** Servers to join, as URLs; empty for a founder. */
  readonly servers: readonly string[];
  /** Options that are the same on all servers of the cluster; empty on an agent. */
  readonly critical: Options;
  /** Voters of etcd when a server saw them last; absent where it never saw more than itself. */
  readonly voters?: number;
}

const secret = { mode: 0o600, uid: 0, gid: 0 };

export async function readStore(paths: K3sPaths): Promise<Store | undefined> {
  const value = parseJson(await readFile(paths.cluster, 'utf8').catch(() => ''));
  if (!isRecord(value)) return undefined;
  const { cluster, ca, founder, role, ready, servers, critical, voters } = value;
  if (typeof cluster !== 'string' || typeof ca !== 'string' || typeof founder !== 'number') return undefined;
  if (role !== 'founder' && role !== 'server' && role !== 'agent') return undefined;
  return {
    identity: { cluster: cluster as ClusterId, ca: ca as Hash, founder: place(founder) },
    role,
    ready: ready === true,
    servers: Array.isArray(servers) ? servers.filter((one) => typeof one === 'string') : [],
    critical: isRecord(critical) ? (critical as Options) : {},
    ...(typeof voters === 'number' ? { voters } : {}),
  };
}

export async function writeStore(paths: K3sPaths, store: Store): Promise<void> {
  const { identity, ...rest } = store;
  await writeSecret(paths.cluster, `${JSON.stringify({ version: 1, ...identity, ...rest })}\n`);
}

/** A file of this device alone, on disk when this returns. */
export async function writeSecret(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replaceFile(path, Buffer.from(text), secret);
}

/** The certificate authorities that k3s would make at its first start, by their files under `server/tls`. */
const authorities = ['server-ca', 'client-ca', 'request-header-ca', 'etcd/peer-ca', 'etcd/server-ca'];

/**
 * Makes a cluster that nobody has started yet: authorities, tokens and a name. cluster.json is written last, so that
 * what a power cut left half-made does not count. One that was made before and never started is taken again.
 */
export async function makeStore(paths: K3sPaths, founder: Place, critical: Options): Promise<Store> {
  const before = await readStore(paths);
  if (before?.role === 'founder' && !before.ready && !existsSync(paths.wal)) return before;
  await setAside(paths, before?.identity.cluster ?? 'unfinished');
  const cluster = randomBytes(6).toString('hex') as ClusterId;
  let ca: Hash | undefined;
  for (const name of authorities) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = join(paths.dataDir, 'server/tls', name);
    const certificate = authorityCertificate(privateKey, `k3s-${name.replace('/', '-')}@${cluster}`);
    await writeSecret(`${file}.key`, privateKey.export({ type: 'sec1', format: 'pem' }).toString());
    await writeSecret(`${file}.crt`, certificate);
    // k3s names a cluster by its server CA: for one certificate, the hash of the file's bytes.
    ca ??= createHash('sha256').update(certificate).digest('hex') as Hash;
  }
  if (ca === undefined) throw new Error('no authority was made');
  await writeSecret(paths.serverToken, randomBytes(32).toString('hex'));
  await writeSecret(paths.agentToken, randomBytes(32).toString('hex'));
  const identity = { cluster, ca, founder };
  const store: Store = { identity, role: 'founder', ready: false, servers: [], critical };
  await writeStore(paths, store);
  return store;
}

/**
 * Sets aside what k3s has of a cluster, under the cluster's name; nothing is deleted. `data`, the unpacked program,
 * stays. With `names`, only these: paths in the data directory.
 */
export async function setAside(
  paths: K3sPaths,
  cluster: string,
  names: readonly string[] = ['server', 'agent', 'storage', 'edgekiln'],
): Promise<void> {
  const from = existsSync(paths.persisted) ? paths.persisted : paths.dataDir;
  const above = from === paths.persisted ? join(paths.data, 'retired') : join(dirname(from), 'retired');
  const found = names.filter((name) => existsSync(join(from, name)));
  if (found.length === 0) return;
  let target = join(above, cluster);
  for (let again = 2; existsSync(target); again += 1) target = join(above, `${cluster}-${again}`);
  await mkdir(target, { recursive: true, mode: 0o700 });
  // What names the cluster goes first: what is left behind by a power cut then belongs to nobody.
  for (const name of [...found].sort((a, b) => Number(b === 'edgekiln') - Number(a === 'edgekiln'))) {
    await mkdir(dirname(join(target, name)), { recursive: true, mode: 0o700 });
    await rename(join(from, name), join(target, name));
  }
}

/**
 * The certificates of a node that was deleted: k3s does not come past them to ask for new ones (measured with 1.36.3:
 * "Node authorization rejected", for ever).
 */
export const nodeCertificates: readonly string[] = ['kubelet', 'k3s-controller', 'kube-proxy'].flatMap(
  (name) => ['crt', 'key'].flatMap((end) => [`agent/client-${name}.${end}`, `agent/serving-${name}.${end}`]),
);

/** The password by which servers know a node again: the same for every life of the device, and nobody else's. */
export function nodePassword(deviceKey: KeyObject): string {
  const key = deviceKey.export({ type: 'pkcs8', format: 'der' });
  return createHmac('sha256', key).update('edgekiln node password').digest('hex').slice(0, 32);
}
