import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import type { Ask } from '../join/client.ts';
import type { Member } from '../protocol/site.ts';
import type { ClusterId } from '../protocol/terms.ts';
import { JournalStore } from './journal.ts';
import { neighbourhoodOf } from './neighbourhood.fixture.ts';
import { Reconciler } from './reconciler.ts';
import { openServed, type Served } from './served.fixture.ts';

const cluster = '0123456789ab' as ClusterId;
const config: AgentConfig = { version: 1, site: 't', edgekiln: '0', port: 80 };
let first: Served;
let second: Served;
/** By place; the third is nobody's. */
let addresses: readonly string[];
let said: string[];
let asked: unknown[];
let fits: (of: number) => boolean;

beforeAll(async () => {
  first = await openServed();
  second = await openServed(first);
  addresses = ['', first.server.address, second.server.address, '127.255.255.3', '127.255.255.4'];
}, 60_000);
afterAll(async () => {
  await second?.close();
  await first?.close();
});
beforeEach(async () => {
  said = [];
  asked = [];
  fits = () => true;
  vi.spyOn(console, 'log').mockImplementation((line: string) => void said.push(line));
  const api = await first.serving.api();
  await api.ask('DELETE', '/api/v1/namespaces/kube-system/configmaps/edgekiln-journal');
  await api.ask('DELETE', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/edgekiln-reconciler');
});
afterEach(() => vi.restoreAllMocks());

const ask: Ask = async (of, kind, request) => {
  asked.push([kind, of, request]);
  const answers: Record<string, unknown> = {
    fitness: { fit: fits(of), why: 'its disk takes 900 ms for a sync' },
    promote: { doing: 'fetches what it needs' },
  };
  return answers[kind] as never;
};
function reconciler(own = 1, members: Readonly<Record<number, Partial<Member>>> = {}): Reconciler {
  const addressOf = (of: number): string => addresses[of] ?? '';
  const around = neighbourhoodOf({ place: own, count: 4, members, addresses: addressOf });
  return new Reconciler(first.serving, around, ask, cluster, config, '/nowhere');
}

/** Makes nodes anew: Ready, as their kubelets would; `server` ties one to its member of etcd. */
async function nodes(
  ...wanted: readonly { readonly place: number; readonly server?: boolean }[]
): Promise<void> {
  const api = await first.serving.api();
  const members = await first.serving.members();
  const path = '/api/v1/nodes';
  for (const { name } of await first.serving.nodes())
    if (!wanted.some((one) => one.server === true && `n${one.place}` === name))
      await api.ask('DELETE', `${path}/${name}`);
  for (const { place: at, server = false } of wanted) {
    const address = addresses[at] ?? '';
    const etcd = members.find((member) => member.address === address)?.name ?? '';
    const tied = {
      labels: { 'node-role.kubernetes.io/etcd': 'true' },
      annotations: { 'etcd.k3s.cattle.io/node-name': etcd },
    };
    await api.ask('POST', path, {
      metadata: { name: `n${at}`, ...(server ? tied : {}) },
      status: {
        addresses: [{ type: 'InternalIP', address }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
  }
}
const journal = async () => (await new JournalStore(first.serving).read()).journal;

test('two of three servers: the third is asked whether it is fit, named in the journal, then told', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true }, { place: 3 });
  const one = reconciler();
  const seen = await one.look(0);
  expect(asked).toEqual([['fitness', 3, { cluster }]]);
  expect((await journal()).operation).toMatchObject({ id: 1, kind: 'grow', candidates: [3] });
  expect(seen).toMatchObject({ servers: 2, members: 3, busy: false, alarm: undefined });
  expect((await one.look(1000)).busy).toBe(true);
  expect(asked.slice(1)).toEqual([['promote', 3, { cluster, operation: 1 }]]);
  expect(said.map((line) => line.slice(0, 40))).toEqual([
    'k3s: decided {"kind":"journal","change":',
    'k3s: decided {"kind":"promote","operatio',
  ]);
});

test('one that is not fit is not named, and why is said; it is asked again after half a minute', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true }, { place: 3 });
  fits = () => false;
  const one = reconciler();
  for (const now of [0, 15_000, 29_000]) await one.look(now);
  expect((await journal()).operation).toBeUndefined();
  expect(said).toEqual(['k3s: place 3 cannot become a server: its disk takes 900 ms for a sync']);
  fits = () => true;
  await one.look(31_000);
  expect((await journal()).operation).toMatchObject({ candidates: [3] });
});

test('who has not the lease looks and does nothing', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true }, { place: 3 });
  await (await first.serving.api()).object(
    'POST',
    '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases',
    {
      metadata: { name: 'edgekiln-reconciler', namespace: 'kube-system' },
      spec: { holderIdentity: '2' },
    },
  );
  const one = reconciler();
  await one.look(0);
  await one.look(44_000);
  expect([asked, (await journal()).operation]).toEqual([[], undefined]);
  await one.look(45_000);
  expect((await journal()).operation).toMatchObject({ candidates: [3] });
});

test('watched time is written once a minute of it has come together, by whoever acts', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true });
  await new JournalStore(first.serving).change((was) => ({ ...was, clock: 5000 }));
  const one = reconciler();
  for (const now of [0, 20_000, 40_000, 59_999]) await one.look(now);
  expect((await journal()).clock).toBe(5000);
  await one.look(61_000);
  expect((await journal()).clock).toBe(66_000);
});

test('a denied device loses its tokens and its node, and its name is barred', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true }, { place: 4 });
  const api = await first.serving.api();
  const secrets = '/api/v1/namespaces/kube-system/secrets';
  for (const name of ['n3', 'n4']) {
    const data = { description: Buffer.from(`edgekiln ${name}`).toString('base64') };
    await api.object('POST', secrets, { metadata: { name: `bootstrap-token-${name}` }, data });
  }
  await reconciler(1, { 4: { denied: true } }).look(0);
  expect((await first.serving.nodes()).map(({ name }) => name)).not.toContain('n4');
  const left = (await api.list(secrets)).map(({ metadata }) => (metadata as { name: string }).name);
  expect(left.filter((name) => name.startsWith('bootstrap'))).toEqual(['bootstrap-token-n3']);
  const group = '/apis/admissionregistration.k8s.io/v1';
  expect(await api.list(`${group}/validatingadmissionpolicies`)).toMatchObject([
    { metadata: { name: 'edgekiln-denied-n4' } },
  ]);
  const bindings = await api.list(`${group}/validatingadmissionpolicybindings`);
  expect(bindings).toMatchObject([
    { spec: { policyName: 'edgekiln-denied-n4', validationActions: ['Deny'] } },
  ]);
});

test('a member of etcd that no node takes along goes after five minutes', async () => {
  await nodes({ place: 1, server: true }, { place: 2, server: true });
  const third = await openServed(first);
  addresses = addresses.map((address, of) => (of === 3 ? third.server.address : address));
  const voters = async () => (await first.serving.members()).filter(({ voter }) => voter);
  await vi.waitFor(async () => expect((await voters()).length).toBe(3), 40_000);
  // A server that lives would tie a node of its name to itself.
  await third.close();
  const one = reconciler();
  await vi.waitFor(() => one.look(0), 40_000); // it may have been the one that led
  await one.look(299_000); // spent on writing the time
  await one.look(299_900);
  expect((await voters()).length).toBe(3);
  // k3s may write to the node that was just made for it: then the next look goes on.
  await vi.waitFor(() => one.look(300_000), 40_000);
  expect(said.at(-1)).toMatch(/^k3s: removes the member n\d+-[0-9a-f]{8}, which no node would take along$/);
  const left = addresses.slice(1, 3).sort();
  await vi.waitFor(
    async () => expect((await voters()).map(({ address }) => address).sort()).toEqual(left),
    40_000,
  );
});
