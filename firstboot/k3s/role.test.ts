import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { place } from '../../formats/roster.ts';
import type { ClusterEvent } from '../formation/cluster.ts';
import type { Ask } from '../join/client.ts';
import type { Kind, Words } from '../join/words.ts';
import type { ClusterId, Hash, Identity } from '../protocol/terms.ts';
import { neighbourhoodOf } from './neighbourhood.fixture.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { RoleOfDevice } from './role.ts';
import { readStore, type Store, writeStore } from './store.ts';

const ca = 'ab'.repeat(32) as Hash;
const identity: Identity = { cluster: '0123456789ab' as ClusterId, ca, founder: place(1) };
const agent: Store = { identity, role: 'agent', ready: true, servers: ['https://a:6443'], critical: {} };

let root: string;
let paths: K3sPaths;
/** All that the device did, in order. */
let done: unknown[];
let answers: { [K in Kind]?: (request: Words[K]['request'], of: number) => Words[K]['answer'] };
let unfit: string | undefined;
let role: RoleOfDevice;
const runner = {
  since: 0,
  doing: undefined as string | undefined,
  start: async ({ cluster }: Identity) => void done.push(['start', cluster]),
  stop: async () => void done.push('stop'),
  launch: async (store: Store) => void done.push(['launch', store.role]),
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  root = mkdtempSync(join(tmpdir(), 'edgekiln-role-'));
  paths = k3sPaths(root);
  done = [];
  unfit = undefined;
  answers = {
    admission: () => ({ ca, token: `K10${ca}::abcdef.0123456789abcdef`, servers: ['https://b:6443'] }),
  };
  runner.since = performance.now();
  const ask: Ask = async (of, kind, request) => {
    done.push(['ask', of, kind, request]);
    const answer = answers[kind];
    if (answer === undefined) throw new Error(`place ${of} does not answer`);
    return answer(request, of);
  };
  role = new RoleOfDevice({
    paths,
    neighbourhood: neighbourhoodOf({ place: 2, count: 4, members: { 4: { eligible: false } } }),
    ask,
    runner,
    feed: (event: ClusterEvent) => void done.push(['feed', event.kind]),
    unfit: async () => unfit,
    takeTime: async (from) => void done.push(['time', from]),
  });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(root, { recursive: true, force: true });
});

const admission = (rejected: boolean, removed = false) => ({ cluster: identity.cluster, rejected, removed });
const file = (path: string, text = 'x'): void => {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
};

test('joins with a token of its own, kept for itself alone, after taking the time of the server', async () => {
  await role.join(identity, place(1));
  const asked = ['ask', 1, 'admission', admission(false)];
  expect(done).toEqual([['time', 1], asked, 'stop', ['launch', 'agent']]);
  expect(readFileSync(paths.joinToken, 'utf8')).toBe(`K10${ca}::abcdef.0123456789abcdef`);
  expect(statSync(paths.joinToken).mode & 0o777).toBe(0o600);
  expect(await readStore(paths)).toEqual({ ...agent, ready: false, servers: ['https://b:6443'] });
});

test('a place that is never a server lets nobody in', async () => {
  await expect(role.join(identity, place(4))).rejects.toThrow(
    'place 4 says that it is a server, and may not be one',
  );
  expect([done, existsSync(paths.joinToken)]).toEqual([[], false]);
});

test('one that was in this cluster already only starts', async () => {
  await writeStore(paths, agent);
  await role.join(identity, place(1));
  expect(done).toEqual([['start', identity.cluster]]);
});

test('what another cluster left is set aside first, under its name', async () => {
  const other = { ...identity, cluster: 'ffffffffffff' as ClusterId };
  await writeStore(paths, { ...agent, identity: other });
  file(join(paths.dataDir, 'agent/kubelet.kubeconfig'), 'of the other');
  await role.join(identity, place(1));
  const aside = join(paths.dataDir, '../retired/ffffffffffff');
  expect(readFileSync(join(aside, 'agent/kubelet.kubeconfig'), 'utf8')).toBe('of the other');
  expect((await readStore(paths))?.identity.cluster).toBe(identity.cluster);
});

test.each([
  ['another CA', { ca: 'cd'.repeat(32) as Hash }],
  ['a token of another CA', { token: `K10${'cd'.repeat(32)}::abcdef.0123456789abcdef` }],
])('a server that answers with %s is refused, and nothing is started', async (_, wrong) => {
  const given = { ca, token: `K10${ca}::abcdef.0123456789abcdef`, servers: ['https://b:6443'] };
  answers.admission = () => ({ ...given, ...wrong });
  await expect(role.join(identity, place(1))).rejects.toThrow('place 1 has another CA than the cluster');
  expect(done.slice(2)).toEqual([['feed', 'joinRefused']]);
  expect(existsSync(paths.joinToken)).toBe(false);
});

/** As a server at this place gives its address to those it lets in. */
const toldOf = (of: number): Partial<Store> => ({ servers: [`https://198.18.7.${of}:6443`] });
const standing = (of: number) => ['ask', of, 'standing', { cluster: identity.cluster }];

test('an agent that never came up asks again after ten minutes, and says that its password may be refused', async () => {
  answers.standing = () => ({ standing: 'none' });
  await role.join(identity, place(3));
  const store = { ...agent, ready: false, ...toldOf(3) };
  done.length = 0;
  vi.advanceTimersByTime(599_000);
  await role.whileNotReady(store);
  expect(done).toEqual([standing(3)]);
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(store);
  expect(done.slice(2)).toEqual([
    ...[
      ['time', 3],
      ['ask', 3, 'admission', admission(true)],
    ],
    ...['stop', ['launch', 'agent']],
  ]);
});

test.each([
  ['never came up', false],
  ['worked before', true],
])('an agent that %s and whose server is gone goes to another one that answers', async (_, ready) => {
  const store = { ...agent, ready, ...toldOf(3) };
  await writeStore(paths, store);
  answers.standing = (_request, of) => {
    if (of === 3) throw new Error('off');
    return { standing: 'agent' };
  };
  vi.advanceTimersByTime(60_001);
  await role.whileNotReady(store);
  expect(done).toEqual([
    ...[standing(3), standing(1), ['time', 1]],
    ...[['ask', 1, 'admission', admission(false)], 'stop', ['launch', 'agent']],
  ]);
  expect(await readStore(paths)).toEqual({ ...store, servers: ['https://b:6443'] });
});

test('a server that was removed asks the others, sets its store aside and comes back as an agent', async () => {
  const server: Store = { ...agent, role: 'server' };
  await writeStore(paths, server);
  for (const name of ['server/db/etcd/member/wal/0', 'agent/client-kubelet.crt', 'agent/images/kept'])
    file(join(paths.dataDir, name));
  answers.standing = (_, of) => {
    if (of === 1) throw new Error('off');
    return { standing: 'none' };
  };
  await role.whileNotReady(server);
  expect(done).toEqual([]);
  vi.advanceTimersByTime(60_001);
  await role.whileNotReady(server);
  expect(done).toEqual([
    ...[standing(1), standing(3), 'stop', ['time', 3]],
    ...[['ask', 3, 'admission', admission(false, true)], 'stop', ['launch', 'agent']],
  ]);
  const left = ['server', 'agent/client-kubelet.crt', 'agent/images/kept'].map((name) =>
    existsSync(join(paths.dataDir, name)),
  );
  expect(left).toEqual([false, false, true]);
  const aside = join(paths.dataDir, `../retired/${identity.cluster}-node`);
  expect(existsSync(join(aside, 'server/db/etcd/member/wal/0'))).toBe(true);
});

test.each([
  ['it is still a server there', 'server', 'server'],
  ['it is still an agent there', 'agent', 'agent'],
] as const)(
  'whose k3s does not work, but %s: nothing is touched, and it is asked again a minute later',
  async (_, own, is) => {
    const store: Store = { ...agent, role: own, ...toldOf(1) };
    answers.standing = () => ({ standing: is });
    for (const looks of [1, 1, 2]) {
      vi.advanceTimersByTime(looks === 1 ? 35_000 : 30_000);
      await role.whileNotReady(store);
    }
    expect(done).toEqual([standing(1)]);
    vi.advanceTimersByTime(60_000);
    await role.whileNotReady(store);
    expect(done.length).toBe(2);
  },
);

test('nobody answers a server: it touches nothing and calls for a person, until one answers or k3s works', async () => {
  const server: Store = { ...agent, role: 'server', voters: 3 };
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(server);
  expect(done.map((one) => (one as unknown[])[0])).toEqual(['ask', 'ask']);
  expect(role.alarm).toBe(
    'k3s does not work here, and no other server of the cluster answers: power the others on; nothing is reset',
  );
  answers.standing = () => ({ standing: 'server' });
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(server);
  expect(role.alarm).toBeUndefined();
  answers = {};
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(server);
  expect(role.alarm).toBeDefined();
  role.isReady();
  expect(role.alarm).toBeUndefined();
});

test.each([
  ['was the only one', { ready: true }],
  ['was never up', { ready: false, voters: 3 }],
])('a server that %s is slow, and that is no alarm', async (_, was) => {
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady({ ...agent, role: 'server', ...was });
  expect([done.length, role.alarm]).toEqual([2, undefined]);
});

test('nobody answers an agent: that is no alarm, its servers have their own', async () => {
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(agent);
  expect([done.length, role.alarm]).toEqual([2, undefined]);
});

test('a promoted one that is no voter yet has six minutes, whatever it is told', async () => {
  const promoting: Store = { ...agent, role: 'server', ready: false };
  answers.standing = () => ({ standing: 'none' });
  vi.advanceTimersByTime(359_000);
  await role.whileNotReady(promoting);
  expect(done.length).toBe(1);
  vi.advanceTimersByTime(61_000);
  await role.whileNotReady(promoting);
  // It was no server yet: this is no return.
  expect(done).toContainEqual(['ask', 1, 'admission', admission(false, false)]);
});

test('becomes a server with the secrets of the one that named it', async () => {
  answers.promotion = () => ({
    ca,
    serverToken: `K10${ca}::server:secret`,
    agentToken: 'other',
    servers: ['https://b:6443', 'https://c:6443'],
    critical: { disable: ['traefik'] },
  });
  await role.becomeServer(agent, place(3), 7);
  expect(done).toEqual([
    ['ask', 3, 'promotion', { cluster: identity.cluster, operation: 7 }],
    ...['stop', ['launch', 'server']],
  ]);
  expect(readFileSync(paths.serverToken, 'utf8')).toBe(`K10${ca}::server:secret`);
  expect(readFileSync(paths.agentToken, 'utf8')).toBe('other');
  expect([paths.serverToken, paths.agentToken].map((path) => statSync(path).mode & 0o777)).toEqual([
    0o600, 0o600,
  ]);
  expect(await readStore(paths)).toMatchObject({
    role: 'server',
    ready: false,
    critical: { disable: ['traefik'] },
  });
});

test.each(['datastore-endpoint', 'write-kubeconfig', 'kubelet-arg', 'cluster-init'])(
  'the word of another device never sets %s: whoever holds a stolen board would own this one',
  async (name) => {
    answers.promotion = () => ({
      ca,
      serverToken: `K10${ca}::server:secret`,
      agentToken: 'other',
      servers: ['https://b:6443'],
      critical: { disable: ['traefik'], [name]: 'http://thief:2379' },
    });
    await writeStore(paths, agent);
    await expect(role.becomeServer(agent, place(3), 7)).rejects.toThrow(
      `${name} is no option that the servers of a cluster have in common`,
    );
    expect(done.length).toBe(1);
    expect(existsSync(paths.serverToken)).toBe(false);
    expect(await readStore(paths)).toEqual(agent);
  },
);

test('does not become one while it is unfit, nor of another cluster', async () => {
  unfit = 'its disk takes 900 ms for a sync';
  await expect(role.becomeServer(agent, place(3), 7)).rejects.toThrow(
    'it cannot become a server: its disk takes 900 ms for a sync',
  );
  expect(done).toEqual([]);
  unfit = undefined;
  const wrong = `K10${'cd'.repeat(32)}::server:secret`;
  answers.promotion = () => ({
    ca,
    serverToken: wrong,
    agentToken: 'x',
    servers: ['https://b'],
    critical: {},
  });
  await expect(role.becomeServer(agent, place(3), 7)).rejects.toThrow('the promotion is of another cluster');
  expect(existsSync(paths.serverToken)).toBe(false);
});
