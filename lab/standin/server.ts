// `k3s server`: finds out how to begin, joins or founds a store, and serves.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { tokensKey } from './access.ts';
import {
  type Authorities,
  bootstrapOf,
  digestOf,
  hasAuthorities,
  hashOf,
  openAuthorities,
  passwordOf,
  randomToken,
  reconcileBootstrap,
  writeSecret,
} from './authority.ts';
import { issue } from './certificate.ts';
import { LogDisk } from './disk.ts';
import { Duties } from './duties.ts';
import { Etcd } from './etcd.ts';
import { bootstrapIn, decideRequest, foundedState } from './found.ts';
import { addMember, takeBootstrap } from './join.ts';
import { adminConfig } from './kubeconfig.ts';
import { beginningOf } from './model.ts';
import { nodeName, runNode, say } from './node.ts';
import { notifyReady } from './notify.ts';
import { dataFolder, nodeAddress, type Options, secretOf } from './options.ts';
import { exitWithoutQuorum, paced, pause } from './pace.ts';
import type { Decide } from './requests.ts';
import { isObject, type JsonObject, textAt } from './state.ts';
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
  if (kept !== undefined) reconcileBootstrap(tls, bootstrapIn(kept.state));
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
    const fresh = foundedState(name, address, ca, tokens, bootstrapOf(authorities));
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
  // As long as k3s keeps them: Node's five seconds would make every look a new handshake.
  server.keepAliveTimeout = 90_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, options.one('bind-address'), resolve);
  });
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
