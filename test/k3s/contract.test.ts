// The contract of k3s that the agent is written against. Every step must hold with the stand-in and with a real k3s; the
// steps build on each other. How to run it, and a record of a run: docs/k3s.md.
import { existsSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  agentToken,
  answered,
  isReady,
  login,
  type Member,
  membersAt,
  namesAt,
  nodeAt,
  serverToken,
  serves,
  url,
  votersAt,
  written,
} from './asked.ts';
import { closeNetwork, type Ended, Host, isReal, openNetwork, until } from './hosts.ts';

const hosts: Host[] = [];
const host = (number: number): Host => {
  const found = hosts[number - 1];
  if (found === undefined) throw new Error(`no host ${number}`);
  return found;
};

const uidOf = (made: Ended): string => JSON.parse(made.body).metadata.uid;

beforeAll(() => {
  openNetwork();
  for (const number of [1, 2, 3, 4]) {
    const made = new Host(number);
    made.prepare(`token: ${serverToken}\nagent-token: ${agentToken}\n`);
    hosts.push(made);
  }
});
afterAll(async () => await closeNetwork(hosts));

it('a founder serves, and its node is Ready', async () => {
  host(1).configure('30-role.yaml', 'cluster-init: true\n');
  host(1).start('server');
  await until('the supervisor is ready', () => readyz() === 200);
  await until('the node is Ready', () => isReady(host(1), 'n1'));
  const status = () => host(1).ask(url(host(1), '/ping'));
  expect([status().status, status().body]).toEqual([200, 'pong']);
  function readyz(): number {
    return host(1).ask(url(host(1), '/v1-k3s/readyz'), ...login('node', agentToken)).status;
  }
});

it('leaves the files that others read', () => {
  const server = host(1).path('/var/lib/rancher/k3s/server');
  expect(readFileSync(`${server}/token`, 'utf8')).toMatch(/^K10[0-9a-f]{64}::server:a-server-token\n$/);
  expect(existsSync(`${server}/db/etcd/member/wal`)).toBe(true);
  for (const name of ['server-ca.crt', 'server-ca.key', 'client-ca.crt', 'etcd/peer-ca.crt']) {
    expect(existsSync(`${server}/tls/${name}`), name).toBe(true);
  }
  expect(statSync(host(1).path('/etc/rancher/k3s/k3s.yaml')).mode & 0o777).toBe(0o600);
  expect(readFileSync(host(1).path('/etc/rancher/node/password'), 'utf8').length).toBeGreaterThan(16);
  const shown = host(1).ask(url(host(1), '/cacerts')).body;
  expect(readFileSync(`${server}/tls/server-ca.crt`, 'utf8')).toContain(shown.trim());
});

it.each([
  ['/v1-k3s/readyz', 200, 403],
  ['/v1-k3s/config', 200, 403],
  ['/v1-k3s/apiservers', 200, 403],
  ['/v1-k3s/client-ca.crt', 200, 403],
  ['/v1-k3s/server-bootstrap', 403, 200],
  ['/db/info', 403, 200],
])('%s answers an agent token with %i, the server token with %i', async (path, agent, server) => {
  const status = async (...who: string[]) =>
    (await answered(() => host(1).ask(url(host(1), path), ...who))).status;
  expect(await status(...login('node', agentToken))).toBe(agent);
  expect(await status(...login('server', serverToken))).toBe(server);
  expect(await status(...login('node', 'wrong'))).toBe(401);
  expect(await status()).toBe(403);
});

it('objects have uids and versions that guard writes', () => {
  const maps = '/api/v1/namespaces/default/configmaps';
  const made = host(1).api('POST', maps, { metadata: { name: 'note' }, data: { a: '1' } });
  expect(made.status).toBe(201);
  expect(host(1).api('POST', maps, { metadata: { name: 'note' } }).status).toBe(409);
  const merge = 'application/merge-patch+json';
  const stale = { metadata: { resourceVersion: '1' }, data: { a: '2' } };
  expect(host(1).api('PATCH', `${maps}/note`, stale, merge).status).toBe(409);
  expect(host(1).api('PATCH', `${maps}/note`, { data: { a: '2', b: '3' } }, merge).status).toBe(200);
  expect(host(1).api('PATCH', `${maps}/note`, { data: { b: null } }, merge).status).toBe(200);
  expect(JSON.parse(host(1).api('GET', `${maps}/note`).body).data).toEqual({ a: '2' });
  expect(uidOf(host(1).api('GET', `${maps}/note`))).toBe(uidOf(made));
  const wrong = { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } };
  expect(host(1).api('DELETE', `${maps}/note`, wrong).status).toBe(409);
  const right = { preconditions: { uid: uidOf(made) } };
  expect(host(1).api('DELETE', `${maps}/note`, right).status).toBe(200);
  expect(host(1).api('GET', `${maps}/note`).status).toBe(404);
});

it('server-side apply makes, changes and takes away what the same manager gave', () => {
  const path = '/api/v1/namespaces/default/configmaps/kept?fieldManager=contract&force=true';
  const apply = (data: object) =>
    host(1).api(
      'PATCH',
      path,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' }, data },
      'application/apply-patch+yaml',
    );
  expect(apply({ a: '1', b: '2' }).status).toBe(201);
  expect(JSON.parse(apply({ b: '3' }).body).data).toEqual({ b: '3' });
});

it('discovery names the kinds there are', () => {
  const kinds = JSON.parse(host(1).api('GET', '/apis/apps/v1').body).resources;
  expect(kinds).toContainEqual(
    expect.objectContaining({ kind: 'Deployment', name: 'deployments', namespaced: true }),
  );
  expect(host(1).api('GET', '/apis/tills.example/v1').status).toBe(404);
});

it("an agent does not start with a server's settings", async () => {
  host(2).configure('40-wrong.yaml', 'cluster-cidr: 10.42.0.0/16\n');
  host(2).start('agent', '--server', url(host(1), ''), '--token', agentToken);
  // Its last words may come after its end.
  await until('it ends, and says why', () => {
    return !host(2).running && /flag provided but not defined: -cluster-cidr/.test(host(2).log);
  });
  host(2).forget('/etc/rancher/k3s/config.yaml.d/40-wrong.yaml');
});

it('agents join, one with a token of its own that is good for nothing else', async () => {
  const own = await host(1).run('token', 'create', '--ttl', '1h');
  expect(own).toMatch(/^K10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}$/);
  const bearer = ['-H', `authorization: Bearer ${own.split('::')[1]}`];
  expect(host(2).ask(url(host(1), '/v1-k3s/readyz'), ...bearer).status).toBe(200);
  expect(host(2).ask(url(host(1), '/v1-k3s/server-bootstrap'), ...bearer).status).toBe(403);
  expect(host(2).ask(url(host(1), '/db/info'), ...bearer).status).toBe(403);
  host(2).start('agent', '--server', url(host(1), ''), '--token', own);
  host(3).start('agent', '--server', url(host(1), ''), '--token', agentToken);
  await until('both agents are Ready', () => isReady(host(1), 'n2') && isReady(host(1), 'n3'));
});

it("a worker's certificate reads neither the server's secrets nor the cluster's", () => {
  const agent = host(2).path('/var/lib/rancher/k3s/agent');
  const worker = ['--cert', `${agent}/client-kubelet.crt`, '--key', `${agent}/client-kubelet.key`];
  expect(host(2).ask(url(host(1), '/v1-k3s/readyz'), ...worker).status).toBe(200);
  expect(host(2).ask(url(host(1), '/v1-k3s/server-bootstrap'), ...worker).status).toBe(403);
  expect(host(2).ask(url(host(1), '/api/v1/secrets'), ...worker).status).toBe(403);
  expect(host(2).ask(url(host(1), '/api/v1/nodes/n1'), '-X', 'DELETE', ...worker).status).toBe(403);
});

it('two agents are promoted in place at the same moment', async () => {
  for (const one of [host(2), host(3)]) {
    await one.kill();
    one.configure('30-role.yaml', `server: ${url(host(1), '')}\n`);
    one.start('server');
  }
  await until('three voters', () => votersAt(host(1)) === 3);
  await until('all Ready', () => ['n1', 'n2', 'n3'].every((name) => isReady(host(3), name)));
  await until('the label of a server', () =>
    Object.keys(nodeAt(host(1), 'n3').metadata.labels).includes('node-role.kubernetes.io/etcd'),
  );
});

it('without a majority nothing is acknowledged and the survivor ends', async () => {
  await host(1).kill();
  await host(2).kill();
  const write = host(3).api('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'lost' } });
  expect(write.status).not.toBe(201);
  await until('the process ends', () => !host(3).running);
});

it('all come back in another order: same members, and what was acknowledged is there', async () => {
  host(1).forget('/etc/rancher/k3s/config.yaml.d/30-role.yaml');
  host(3).start('server');
  host(2).start('server');
  await until('two serve', () => serves(host(3)) && serves(host(2)));
  host(1).start('server');
  await until('the first serves', () => serves(host(1)));
  await until(
    'the same three voters',
    () => namesAt(host(1)).join() === 'n1,n2,n3' && votersAt(host(1)) === 3,
  );
  const kept = await answered(() => host(1).api('GET', '/api/v1/namespaces/default/configmaps/kept'));
  expect(JSON.parse(kept.body).data).toEqual({ b: '3' });
});

it('a server that a power cut left empty files ends; without them it makes them anew from its store', async () => {
  await host(2).kill();
  const tls = host(2).path('/var/lib/rancher/k3s/server/tls');
  const files = ['server-ca.crt', 'server-ca.key', 'client-ca.crt', 'etcd/peer-ca.crt', 'etcd/peer-ca.key'];
  const before = readFileSync(`${tls}/server-ca.crt`, 'utf8');
  for (const name of files) truncateSync(`${tls}/${name}`, 0);
  host(2).start('server');
  await until('it ends, and says why', () => {
    return !host(2).running && /newer than datastore and could cause a cluster outage/.test(host(2).log);
  });
  for (const name of files) rmSync(`${tls}/${name}`);
  host(2).start('server');
  await until('it serves', () => serves(host(2)) && isReady(host(2), 'n2'));
  expect(readFileSync(`${tls}/server-ca.crt`, 'utf8')).toBe(before);
  await until('the same three voters', () => namesAt(host(2)).join() === 'n1,n2,n3');
});

it('a server is not added while one is down, and is once its node is deleted', async () => {
  await host(3).kill();
  // A member counts as down when it was not heard for a while.
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  host(4).configure('30-role.yaml', `server: ${url(host(1), '')}\n`);
  host(4).start('server');
  await until('the joiner is refused', () => /unhealthy cluster/.test(host(4).log));
  expect(await until('the members', () => namesAt(host(1)))).toEqual(['n1', 'n2', 'n3']);
  expect(await written(host(1), 'DELETE', '/api/v1/nodes/n3')).toBe(200);
  await until('the joiner is the third voter', () => votersAt(host(1)) === 3 && serves(host(4)));
  expect(await until('the members', () => namesAt(host(1)))).toEqual(['n1', 'n2', 'n4']);
});

it('a removed server that comes back hangs and serves nothing', async () => {
  host(3).start('server');
  await until('it is told', () => /permanently removed/.test(host(3).log));
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  expect([host(3).running, serves(host(3))]).toEqual([true, false]);
});

it('without its store it is an agent again, with its old password', async () => {
  await host(3).kill();
  host(3).forget('/var/lib/rancher/k3s/server');
  host(3).forget('/etc/rancher/k3s/config.yaml.d/30-role.yaml');
  host(3).start('agent', '--server', url(host(1), ''), '--token', agentToken);
  await until('Ready', () => isReady(host(1), 'n3'));
});

it('a re-flashed device is rejected until its node is deleted', async () => {
  await host(3).kill();
  host(3).forget('/var/lib/rancher/k3s');
  host(3).forget('/etc/rancher/node');
  host(3).start('agent', '--server', url(host(1), ''), '--token', agentToken);
  await until('it is rejected', () => /[Nn]ode password rejected/.test(host(3).log));
  const uid = () => nodeAt(host(1), 'n3').metadata.uid;
  const before = await until('its node', uid);
  expect(await written(host(1), 'DELETE', '/api/v1/nodes/n3')).toBe(200);
  await until('Ready', () => isReady(host(1), 'n3') && uid() !== before);
});

it('a voter that no node takes along goes by a node that is made for it', async () => {
  const named = (member: Member) => member.name?.startsWith('n4-') === true;
  const orphan = await until('its member', () => membersAt(host(1)).find(named));
  await host(4).kill();
  const [etcd, role] = ['etcd.k3s.cattle.io', 'node-role.kubernetes.io/etcd'];
  const tie = (name: string | null, address: string | null, more: object) => ({
    metadata: {
      labels: { [role]: name === null ? null : 'true' },
      annotations: { [`${etcd}/node-name`]: name, [`${etcd}/node-address`]: address, ...more },
    },
  });
  const merge = 'application/merge-patch+json';
  expect(await written(host(1), 'PATCH', '/api/v1/nodes/n4', tie(null, null, {}), merge)).toBe(200);
  expect(await written(host(1), 'DELETE', '/api/v1/nodes/n4')).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  expect(await until('the members', () => membersAt(host(1)).filter(named).length)).toBe(1);
  const made = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n4' } };
  expect(await written(host(1), 'POST', '/api/v1/nodes', made)).toBe(201);
  const asked = tie(orphan.name ?? '', host(4).address, { [`${etcd}/remove`]: 'true' });
  expect(await written(host(1), 'PATCH', '/api/v1/nodes/n4', asked, merge)).toBe(200);
  await until('it is gone', () => membersAt(host(1)).filter(named).length === 0);
  await until('the others serve', () => serves(host(1)));
});

it('a policy on its name keeps a revoked worker out', async () => {
  const group = '/apis/admissionregistration.k8s.io/v1';
  const rule = { apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] };
  const policy = {
    metadata: { name: 'bar-n3' },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: { resourceRules: [rule] },
      validations: [{ expression: "request.userInfo.username != 'system:node:n3'" }],
    },
  };
  expect(await written(host(1), 'POST', `${group}/validatingadmissionpolicies`, policy)).toBe(201);
  const binding = {
    metadata: { name: 'bar-n3' },
    spec: { policyName: 'bar-n3', validationActions: ['Deny'] },
  };
  expect(await written(host(1), 'POST', `${group}/validatingadmissionpolicybindings`, binding)).toBe(201);
  const agent = host(3).path('/var/lib/rancher/k3s/agent');
  const worker = ['--cert', `${agent}/client-kubelet.crt`, '--key', `${agent}/client-kubelet.key`];
  await until('its certificate is denied', () => {
    const node = JSON.stringify({ kind: 'Node', apiVersion: 'v1', metadata: { name: 'n3' } });
    const given = ['-X', 'POST', '-H', 'content-type: application/json', '--data-binary', node];
    host(1).api('DELETE', '/api/v1/nodes/n3');
    return host(3).ask(url(host(1), '/api/v1/nodes'), ...worker, ...given).status === 422;
  });
});

it.runIf(!isReal)('the stand-in says no to what it does not have', () => {
  expect(host(1).api('GET', '/apis/metrics.k8s.io/v1beta1/nodes').status).toBe(501);
});
