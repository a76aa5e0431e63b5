// `k3s server`: finds out how to begin, joins or founds a store, and serves.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { tokensKey } from './access.ts';
import { decideWrite } from './api.ts';
import {
  type Authorities,
  digestOf,
  hasAuthorities,
  hashOf,
  openAuthorities,
  passwordOf,
  randomToken,
  writeBootstrap,
  writeSecret,
} from './authority.ts';
import { issue } from './certificate.ts';
import { ask } from './client.ts';
import { LogDisk } from './disk.ts';
import { Duties } from './duties.ts';
import { type Decide, Etcd } from './etcd.ts';
import { adminConfig, authorityOf } from './kubeconfig.ts';
import { addLearner, beginningOf, founded, registerNode } from './model.ts';
import { authorizationOf, nodeName, runNode, say } from './node.ts';
import { notifyReady } from './notify.ts';
import { dataFolder, nodeAddress, type Options, secretOf } from './options.ts';
import { exitWithoutQuorum, paced, pause } from './pace.ts';
import {
  changesTo,
  emptyState,
  isObject,
  type JsonObject,
  passwordKey,
  type State,
  textAt,
  viewOf,
} from './state.ts';
import { answer, type Served } from './supervisor.ts';
import { Wire } from './wire.ts';

export async function runServer(options: Options): Promise<void> {
  const address = nodeAddress(options);
  const name = nodeName(options);
  const folder = join(dataFolder(options), 'server');
  const tls = join(folder, 'tls');
  const etcdFolder = join(folder, 'db', 'etcd', 'member');
  const sqliteFolder = join(folder, 'db', 'state.db');
  const kept = new LogDisk(etcdFolder).read();
  const server = options.one('server');
  const given = secretOf(options, 'token');
  const beginning = beginningOf(
    {
      wal: kept?.identity,
      ca: hasAuthorities(tls) ? 'its own' : undefined,
      agentOf: undefined,
    },
    { clusterInit: options.is('cluster-init'), server, token: given !== undefined },
  );
  if (beginning.kind === 'join') await takeBootstrap(tls, server ?? '', given ?? '');
  const authorities = openAuthorities(tls, Date.now());
  const ca = hashOf(authorities['server-ca'].certificate);
  const tokenFile = join(folder, 'token');
  const fromDisk = existsSync(tokenFile) ? readFileSync(tokenFile, 'utf8').trim() : undefined;
  const token = passwordOf(given ?? fromDisk ?? randomToken()).password;
  const agentToken = passwordOf(secretOf(options, 'agent-token') ?? token).password;
  const tokens = { server: digestOf(token), agent: digestOf(agentToken) };

  let etcd: Etcd | undefined;
  let ready = false;
  const served: Served = { authorities, etcd, config: configOf(options), ready: () => ready };
  await pause(paced('ping'));
  const port = Number(options.one('https-listen-port') ?? 6443);
  const local = options.one('bind-address') ?? '127.0.0.1';
  await listen(options, authorities, address, name, port, served);

  const peer = issue(
    authorities['etcd/peer-ca'],
    { commonName: 'etcd-peer' },
    'both',
    [address, '127.0.0.1', 'localhost'],
    Date.now(),
  );
  const wire = new Wire({ ...peer, authority: authorities['etcd/peer-ca'].certificate });
  const alive = (node: string | undefined): boolean =>
    etcd?.state.roll.members.some((one) => one.node === node && etcd?.alive(one.id) === true) ?? false;
  const decide: Decide = (state, request, now) => decideRequest(state, request, now, ca, alive);
  const open = async (where: string, fresh?: Parameters<typeof Etcd.start>[4]) =>
    await Etcd.start(where, wire, decide, address, fresh);
  if (beginning.kind === 'resume') etcd = await open(etcdFolder);
  else if (beginning.kind === 'new' && beginning.store === 'sqlite' && existsSync(sqliteFolder)) {
    etcd = await open(sqliteFolder);
  } else if (beginning.kind === 'new') {
    const fresh = foundedState(name, address, ca, tokens);
    etcd = await open(beginning.store === 'etcd' ? etcdFolder : sqliteFolder, fresh);
  } else {
    etcd = await open(
      etcdFolder,
      await addMember(wire, server ?? '', given ?? '', authorities, name, address),
    );
  }
  served.etcd = etcd;
  const started = etcd;
  new Duties(started, ca);
  const since = performance.now();
  while (
    !(started.isVoter && started.hasLeader && performance.now() - since > paced('ready') - paced('ping'))
  ) {
    await pause(20);
  }
  const right = started.state.objects[tokensKey];
  if (
    right !== undefined &&
    textAt(right['data'] && isObject(right['data']) ? right['data'] : {}, 'server') !== tokens.server
  ) {
    throw new Failure('environment', {
      what: 'bootstrap data already found and encrypted with different token',
    });
  }
  writeTokens(folder, authorities, token, agentToken);
  adminConfig(options, authorities, `https://${local}:${port}`);
  mkdirSync(join(folder, 'manifests'), { recursive: true, mode: 0o700 });
  ready = true;
  say(`k3s stand-in: server ${name} is up and running`);
  notifyReady();
  watchQuorum(started);
  if (options.is('disable-agent')) return;
  const supervisor = {
    servers: () => [`https://${local}:${port}`],
    ca: authorities['server-ca'].certificate,
    token: agentToken,
    throughBalancer: false,
  };
  await runNode(options, supervisor, () => say(`node ${name} is Ready`));
}

/** A server that lost its leader ends; its unit starts it again. */
function watchQuorum(etcd: Etcd): void {
  let lastLed = performance.now();
  setInterval(() => {
    if (etcd.hasLeader || etcd.hung) lastLed = performance.now();
    else if (performance.now() - lastLed > exitWithoutQuorum) {
      say('leaderelection lost');
      process.exit(1);
    }
  }, 500);
}

async function listen(
  options: Options,
  authorities: Authorities,
  address: string,
  name: string,
  port: number,
  served: Served,
): Promise<void> {
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'localhost',
    name,
    '127.0.0.1',
    '10.43.0.1',
  ];
  const advertised = options.one('advertise-address');
  const all = [
    ...names,
    address,
    ...(advertised === undefined ? [] : [advertised]),
    ...options.all('tls-san'),
  ];
  const subject = { commonName: 'k3s', organizations: ['k3s'] };
  const pair = issue(authorities['server-ca'], subject, 'server', [...new Set(all)], Date.now());
  const server = createServer(
    {
      cert: pair.certificate + authorities['server-ca'].certificate,
      key: pair.key,
      ca: authorities['client-ca'].certificate,
      requestCert: true,
      rejectUnauthorized: false,
      // A resumed session shows no certificate of its client.
      sessionTimeout: 1,
    },
    (request, response) => void answer(served, request, response),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, options.one('bind-address'), resolve);
  });
}

async function takeBootstrap(tls: string, server: string, token: string): Promise<void> {
  const ca = await authorityOf(server, token);
  const authorization = authorizationOf(token, 'server');
  for (;;) {
    const got = await ask(`${server}/v1-k3s/server-bootstrap`, { ca, authorization });
    if (got.status === 200) return writeBootstrap(tls, JSON.parse(got.text));
    if (got.status !== 503) {
      throw new Failure('environment', {
        what: `failed to get CA certs: ${server}/v1-k3s/server-bootstrap: ${got.status}`,
        why: 'the token is not the server token',
      });
    }
    await pause(1_000);
  }
}

/** Asks to be a learner until it is one, however long that takes. */
async function addMember(
  wire: Wire,
  server: string,
  token: string,
  authorities: Authorities,
  node: string,
  address: string,
) {
  const authorization = authorizationOf(token, 'server');
  say('Skipping cluster configuration validation: not authorized');
  for (;;) {
    try {
      const ca = authorities['server-ca'].certificate;
      const info = await ask(`${server}/db/info`, { ca, authorization });
      if (info.status !== 200) throw new Error(`/db/info: ${info.status}`);
      const members: readonly { peerURLs: readonly string[] }[] = JSON.parse(info.text).members;
      const peers = members.map((member) => new URL(member.peerURLs[0] ?? '').hostname);
      let last: unknown = new Error('no member answers');
      for (const peer of peers.filter((one) => one !== address)) {
        try {
          return await addThrough(wire, peer, node, address);
        } catch (error) {
          last = error;
          const message = error instanceof Error ? error.message : '';
          if (/duplicate node name/.test(message)) throw error;
        }
      }
      throw last;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (/duplicate node name/.test(message)) throw new Failure('environment', { what: message });
      say(`Failed to join etcd: ${message}`);
      await pause(Math.max(200, paced('learnerAfterDelete')));
    }
  }
}

async function addThrough(wire: Wire, peer: string, node: string, address: string) {
  const asked = await wire.ask(peer, { member: { node, address } });
  const { identity, state, refused } = asked as {
    identity: { cluster: string; member: number };
    state: State;
    refused?: string;
  };
  if (refused !== undefined) throw new Error(refused);
  return { identity, state };
}

/** What requests of this program's own do, and those of the API. */
function decideRequest(
  state: State,
  request: JsonObject,
  now: number,
  ca: string,
  alive: (node: string | undefined) => boolean,
): ReturnType<Decide> {
  const kind = textAt(request, 'kind');
  const name = textAt(request, 'name') ?? '';
  if (kind === 'password') {
    const hash = textAt(request, 'hash') ?? '';
    const outcome = registerNode({ ...viewOf(state, ca), denied: [] }, name, hash, false);
    if ('refused' in outcome) return { reply: { status: 403 } };
    if (state.objects[passwordKey(name)] !== undefined) return { reply: { status: 200 } };
    const metadata = { name: `${name}.node-password.k3s`, namespace: 'kube-system' };
    const object = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: { hash } };
    return { reply: { status: 200 }, value: { changes: [{ key: passwordKey(name), object }] } };
  }
  if (kind === 'member') {
    const view = viewOf(state, ca);
    const outcome = addLearner(view, name, textAt(request, 'address') ?? '', alive);
    if ('refused' in outcome) return { reply: { refused: outcome.refused } };
    const id = outcome.cluster.members.at(-1)?.id ?? 0;
    return { reply: { id }, value: changesTo(state, view, outcome.cluster) };
  }
  return decideWrite(state, request, now, { ca, alive });
}

function foundedState(name: string, address: string, ca: string, tokens: { server: string; agent: string }) {
  const cluster = randomBytes(8).toString('hex');
  const state = emptyState(cluster);
  const view = founded(cluster, ca, name, address, '');
  const { roll } = changesTo(state, viewOf(state, ca), { ...view, nodes: [] });
  const members = (roll?.members ?? []).map((member) => ({ ...member, name: member.node }));
  state.roll = { members, removed: [], denied: [] };
  state.revision = 1;
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const put = (key: string, kind: string, rest: JsonObject): void => {
    const [, , namespace = '', called = ''] = key.split('/');
    const uid = `00000000-0000-4000-8000-${String(Object.keys(state.objects).length + 1).padStart(12, '0')}`;
    const place = namespace === '' ? {} : { namespace };
    const metadata = { name: called, ...place, uid, resourceVersion: '1', creationTimestamp: at };
    state.objects[key] = { apiVersion: 'v1', kind, metadata, ...rest };
  };
  for (const space of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
    put(`/namespaces//${space}`, 'Namespace', { status: { phase: 'Active' } });
  }
  put('/services/default/kubernetes', 'Service', { spec: { clusterIP: '10.43.0.1' } });
  put(tokensKey, 'Tokens', { data: tokens });
  return { identity: { cluster, member: view.members[0]?.id ?? 1 }, state };
}

function writeTokens(folder: string, authorities: Authorities, token: string, agentToken: string): void {
  const prefix = `K10${hashOf(authorities['server-ca'].certificate)}::`;
  writeSecret(join(folder, 'token'), `${prefix}server:${token}\n`);
  writeSecret(join(folder, 'agent-token'), `${prefix}node:${agentToken}\n`);
  rmSync(join(folder, 'node-token'), { force: true });
  symlinkSync(join(folder, 'token'), join(folder, 'node-token'));
}

function configOf(options: Options): JsonObject {
  return {
    ClusterIPRange: options.one('cluster-cidr') ?? '10.42.0.0/16',
    ServiceIPRange: options.one('service-cidr') ?? '10.43.0.0/16',
    FlannelBackend: options.one('flannel-backend') ?? 'vxlan',
    DisableNPC: options.is('disable-network-policy'),
    DisableHelmController: options.is('disable-helm-controller'),
    StandIn: true,
  };
}
