import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { place } from '../../formats/roster.ts';
import { applyChange, emptyJournal } from '../protocol/journal.ts';
import type { Member } from '../protocol/site.ts';
import type { ClusterId, Hash } from '../protocol/terms.ts';
import { clusterAnswers } from './answers.ts';
import { JournalStore } from './journal.ts';
import { neighbourhoodOf, siteOf } from './neighbourhood.fixture.ts';
import { openServed, type Served } from './served.fixture.ts';
import { type Store, writeSecret, writeStore } from './store.ts';

const cluster = '0123456789ab' as ClusterId;
const ca = 'ab'.repeat(32) as Hash;
const store: Store = {
  identity: { cluster, ca, founder: place(1) },
  role: 'founder',
  ready: true,
  servers: [],
  critical: { disable: ['traefik'] },
};
let first: Served;
let second: Served;
let addresses: readonly string[];
let serves: boolean;
let promoted: unknown[];
let unfit: string | undefined;

beforeAll(async () => {
  first = await openServed();
  second = await openServed(first);
  await vi.waitFor(async () => expect((await voters()).length).toBe(2), 40_000);
  await writeSecret(first.paths.agentToken, 'for-agents\n');
  addresses = ['', first.server.address, second.server.address, '127.255.255.3'];
}, 60_000);
afterAll(async () => {
  await second?.close();
  await first?.close();
});
beforeEach(async () => {
  serves = true;
  promoted = [];
  unfit = undefined;
  await writeStore(first.paths, store);
});

const voters = async () => (await first.serving.members()).filter(({ voter, name }) => voter && name !== '');
const answers = () =>
  clusterAnswers({
    paths: first.paths,
    neighbourhood: neighbourhoodOf({ place: 1, count: 3, addresses: (of) => addresses[of] ?? '' }),
    serving: first.serving,
    serves: () => serves,
    promoted: (...given) => void promoted.push(given),
    unfit: async () => unfit,
  });
function member(of: number): Member {
  const found = siteOf({ count: 3 }).members[of];
  if (found === undefined) throw new Error(`no member ${of}`);
  return found;
}
async function node(of: number, ready: boolean, etcdName?: string): Promise<void> {
  const api = await first.serving.api();
  await api.ask('DELETE', `/api/v1/nodes/n${of}`);
  const annotations = etcdName === undefined ? {} : { 'etcd.k3s.cattle.io/node-name': etcdName };
  await api.object('POST', '/api/v1/nodes', {
    metadata: { name: `n${of}`, annotations },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }] },
  });
}
const nodes = async () => (await first.serving.nodes()).map(({ name }) => name);
const asked = { cluster, rejected: false, removed: false };

test.each([
  [
    'of another cluster',
    () =>
      writeStore(first.paths, {
        ...store,
        identity: { ...store.identity, cluster: 'f'.repeat(12) as ClusterId },
      }),
    'this device is not of that cluster',
  ],
  [
    'an agent',
    () => writeStore(first.paths, { ...store, role: 'agent' }),
    'this device is no server that works',
  ],
  [
    'a server whose k3s does not work',
    async () => {
      serves = false;
    },
    'this device is no server that works',
  ],
])('a device that is %s lets nobody in and gives no secret', async (_, become, why) => {
  await become();
  await expect(answers().admission(member(3), asked)).rejects.toThrow(why);
  await expect(answers().standing(member(3), { cluster })).rejects.toThrow(why);
  await expect(answers().promotion(member(3), { cluster, operation: 1 })).rejects.toThrow(why);
});

test('a new device gets a token of its own, and all servers, this one first', async () => {
  const given = await answers().admission(member(3), asked);
  const servers = [1, 2].map((of) => `https://${addresses[of]}:6443`);
  expect(given).toEqual({
    ca,
    token: expect.stringMatching(`^K10${ca}::[0-9a-z]{6}\\.[0-9a-z]{16}$`),
    servers,
  });
  const [id] = given.token.split('::')[1]?.split('.') ?? [];
  const secret = await (await first.serving.api()).object(
    'GET',
    `/api/v1/namespaces/kube-system/secrets/bootstrap-token-${id}`,
  );
  const { description, expiration } = secret['data'] as Record<string, string>;
  const plain = (text = ''): string => Buffer.from(text, 'base64').toString();
  expect(plain(description)).toBe('edgekiln n3');
  const hours = (Date.parse(plain(expiration)) - Date.now()) / 3_600_000;
  expect([hours > 23.9, hours <= 24]).toEqual([true, true]);
});

test('a node whose password was refused goes, unless somebody lives there', async () => {
  await node(3, true);
  await answers().admission(member(3), { ...asked, rejected: true });
  expect(await nodes()).toContain('n3');
  await node(3, false);
  await answers().admission(member(3), asked);
  expect(await nodes()).toContain('n3');
  await answers().admission(member(3), { ...asked, rejected: true });
  expect(await nodes()).not.toContain('n3');
});

test('what a device is: a server by its member of etcd, else an agent by its node, else nothing', async () => {
  expect(await answers().standing(member(2), { cluster })).toEqual({ standing: 'server' });
  expect(await answers().standing(member(3), { cluster })).toEqual({ standing: 'none' });
  await node(3, false);
  expect(await answers().standing(member(3), { cluster })).toEqual({ standing: 'agent' });
});

test('a candidate says what it lacks, or which port of the server it cannot reach', async () => {
  expect(await answers().fitness(member(2), { cluster })).toEqual({ fit: true, why: '' });
  expect(await answers().fitness(member(3), { cluster })).toEqual({
    fit: false,
    why: 'it does not reach port 6443 of 127.255.255.3',
  });
  unfit = 'its disk takes 900 ms for a sync';
  expect(await answers().fitness(member(2), { cluster })).toEqual({ fit: false, why: unfit });
});

test('one that is told to become a server comes for its secrets if it is an agent', async () => {
  expect(await answers().promote(member(2), { cluster, operation: 4 })).toEqual({
    doing: 'is a server already',
  });
  expect(promoted).toEqual([]);
  await writeStore(first.paths, { ...store, role: 'agent' });
  await answers().promote(member(2), { cluster, operation: 4 });
  expect(promoted).toEqual([[2, 4]]);
});

test('a place that is never a server tells nobody to become one', async () => {
  await writeStore(first.paths, { ...store, role: 'agent' });
  const worker = { ...member(2), eligible: false };
  await expect(answers().promote(worker, { cluster, operation: 4 })).rejects.toThrow(
    'this is said by servers, and your place is never one',
  );
  expect(promoted).toEqual([]);
});

test('the server token goes to whom the journal names, and to nobody else', async () => {
  const operation = { kind: 'grow', candidates: [place(3)], tried: [], dead: undefined, age: 9 } as const;
  await new JournalStore(first.serving).write(applyChange(emptyJournal, { kind: 'begin', operation }), '');
  const refused = 'the journal does not name this device';
  await expect(answers().promotion(member(2), { cluster, operation: 1 })).rejects.toThrow(refused);
  await expect(answers().promotion(member(3), { cluster, operation: 2 })).rejects.toThrow(refused);
  expect(await answers().promotion(member(3), { cluster, operation: 1 })).toEqual({
    ca,
    serverToken: `K10${ca}::server:${first.token.split('::server:')[1]}`,
    agentToken: 'for-agents',
    servers: [1, 2].map((of) => `https://${addresses[of]}:6443`),
    critical: { disable: ['traefik'] },
  });
});

test('a server that was flashed again: its member of etcd goes first, with its node if they are tied', async () => {
  await expect(answers().admission(member(2), asked)).rejects.toThrow(
    'a member of etcd without a node has its address',
  );
  const [etcd] = (await voters()).filter(({ address }) => address === addresses[2]);
  await node(2, true, etcd?.name);
  // k3s itself may write to the node between the look at it and its removal: the device asks again then.
  await vi.waitFor(() => answers().admission(member(2), { ...asked, removed: true }), 40_000);
  expect((await voters()).map(({ address }) => address)).toEqual([addresses[1]]);
  expect(await nodes()).not.toContain('n2');
  // It came back after it was removed: its grace is longer from now on.
  expect((await new JournalStore(first.serving).read()).journal.returns).toEqual([2]);
});
