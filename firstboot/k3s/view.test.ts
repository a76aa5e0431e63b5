import { expect, test } from 'vitest';
import { type Place, place } from '../../formats/roster.ts';
import { emptyJournal } from '../protocol/journal.ts';
import { personsObject } from './emptiness.ts';
import { siteOf } from './neighbourhood.fixture.ts';
import type { ClusterNode } from './serving.ts';
import { orphansOf, type Sight, type Surroundings, viewOf, Watch } from './view.ts';

const site = siteOf({
  count: 3,
  members: { 1: { class: 1 }, 2: { class: 2 }, 3: { class: 3, eligible: false } },
});
const around: Surroundings = {
  site,
  domainOf: () => 'cellar',
  addressOf: (of: Place) => `198.18.7.${of}`,
  fit: (of) => of === 2,
};
const node = (index: number, changes: Partial<ClusterNode> = {}): ClusterNode => ({
  name: `n${index}`,
  uid: `u${index}`,
  resourceVersion: '7',
  address: `198.18.7.${index}`,
  ready: true,
  labelled: false,
  etcdName: undefined,
  ...changes,
});
const member = (index: number, voter = true) => ({
  name: `n${index}-ab`,
  address: `198.18.7.${index}`,
  voter,
});
const sight = (nodes: readonly ClusterNode[], members: Sight['members']): Sight => ({
  nodes,
  members,
  kept: { journal: emptyJournal, version: '5' },
});

test('who is a server is known from etcd before its labels say so; strangers are left out', () => {
  const seen = sight([node(1), node(2), node(3), node(9)], [member(1), member(2, false)]);
  const { nodes, journalVersion } = viewOf(seen, around, new Watch(), 0);
  expect(nodes.map(({ name, server, voter, eligible, fit }) => [name, server, voter, eligible, fit])).toEqual(
    [
      ['n1', true, true, true, false],
      ['n2', true, false, true, true],
      ['n3', false, false, false, false],
    ],
  );
  expect(journalVersion).toBe('5');
});

test('time without a change counts from the first look, and begins anew with each change', () => {
  const watch = new Watch();
  const lasts = (ready: boolean, now: number) =>
    viewOf(sight([node(1, { ready })], [member(1)]), around, watch, now).nodes[0]?.unchangedFor;
  expect([lasts(true, 1000), lasts(true, 61_000), lasts(false, 62_000), lasts(false, 92_000)]).toEqual([
    0, 60_000, 0, 30_000,
  ]);
});

test('a member that no node would take along is an orphan after five minutes, not before', () => {
  const watch = new Watch();
  const seen = sight([node(1, { etcdName: 'n1-ab' }), node(2)], [member(1), member(2)]);
  expect(orphansOf(seen, around, watch, 0)).toEqual([]);
  expect(orphansOf(seen, around, watch, 299_000)).toEqual([]);
  expect(orphansOf(seen, around, watch, 300_000)).toEqual([{ member: member(2), name: 'n2' }]);
  const operation = {
    id: 1,
    kind: 'grow',
    candidates: [place(2)],
    tried: [],
    dead: undefined,
    age: 0,
  } as const;
  const growing = { ...seen, kept: { journal: { ...emptyJournal, operation }, version: '5' } };
  expect(orphansOf(growing, around, watch, 400_000)).toEqual([]);
});

test('what a person put there is found by who wrote it; the system and our apps are not', () => {
  const by = (manager: string) => ({ managedFields: [{ manager }] });
  const find = (path: string, metadata: object, spec: object = {}) =>
    personsObject(path, [{ metadata, spec }]);
  expect(find('/api/v1/configmaps', { name: 'a', namespace: 'kube-system', ...by('k3s') })).toBeUndefined();
  expect(find('/api/v1/configmaps', { name: 'a', namespace: 'kube-system', ...by('kubectl-create') })).toBe(
    'configmaps kube-system/a',
  );
  expect(find('/apis/apps/v1/deployments', { name: 'web', namespace: 'default', ...by('helm') })).toBe(
    'deployments default/web',
  );
  const ours = { name: 'web', namespace: 'shop', labels: { 'edgekiln.io/app': 'web' } };
  expect(find('/apis/apps/v1/deployments', ours)).toBeUndefined();
  expect(find('/api/v1/persistentvolumeclaims', { ...ours, ...by('edgekiln') })).toBe(
    'persistentvolumeclaims shop/web asks for a volume',
  );
  expect(find('/api/v1/persistentvolumes', { name: 'v', ...by('k3s') }, { claimRef: {} })).toContain(
    'was bound',
  );
  expect(find('/api/v1/pods', { ...ours }, { volumes: [{ hostPath: { path: '/srv' } }] })).toContain(
    'writes to',
  );
  expect(find('/api/v1/namespaces', { name: 'shop' })).toBe('namespaces /shop');
  expect(find('/api/v1/namespaces', { name: 'default' })).toBeUndefined();
});
