import { expect, test } from 'vitest';
import type { Place } from '../../formats/roster.ts';
import type { ClusterStatus } from '../formation/cluster.ts';
import type { FormationView } from '../formation/view.ts';
import { isBack } from './back.ts';

const formation: FormationView = {
  phase: 'serving',
  phaseFor: 100,
  role: 'server',
  policy: 'first-online',
  epoch: 1,
  cluster: null,
  places: [
    {
      place: 1 as Place,
      name: 'shop-01',
      seen: 'self',
      phase: 'serving',
      server: true,
      ours: false,
      eligible: true,
    },
    {
      place: 2 as Place,
      name: 'shop-02',
      seen: 'now',
      phase: 'member',
      server: false,
      ours: false,
      eligible: true,
    },
  ],
  serverHeard: true,
  alarms: [],
};
const k3s: ClusterStatus = {
  k3s: 'running',
  role: 'server',
  doing: undefined,
  nodes: undefined,
  problems: [],
};
const nodes = (own: boolean, other: boolean): ClusterStatus['nodes'] => [
  { name: 'shop-01', role: 'server', ready: own },
  { name: 'shop-02', role: 'agent', ready: other },
];

test.each<[string, Partial<FormationView>, Partial<ClusterStatus>, boolean]>([
  ['a server whose k3s works', {}, {}, true],
  ['one whose k3s is still starting', {}, { k3s: 'starting' }, false],
  ['one whose k3s was not started', {}, { k3s: 'stopped' }, false],
  ['one whose own node is not Ready', {}, { nodes: nodes(false, true) }, false],
  ['one whose node is, while another is not', {}, { nodes: nodes(true, false) }, true],
  ['a worker whose node is Ready', { phase: 'member', role: 'agent' }, { role: 'agent' }, true],
  ['a worker that waits for k3s', { phase: 'member' }, { k3s: 'starting' }, false],
  ['a device that never was in a cluster', { phase: 'listening', role: 'none' }, { k3s: 'stopped' }, true],
  ['one on its way into its first', { phase: 'joining' }, { k3s: 'starting' }, true],
])('%s', (_, changedFormation, changedK3s, back) => {
  expect(isBack({ formation: { ...formation, ...changedFormation }, k3s: { ...k3s, ...changedK3s } })).toBe(
    back,
  );
});

test('a part that has not begun is not back', () => {
  expect(isBack(undefined)).toBe(false);
  expect(isBack({ formation: undefined, k3s })).toBe(false);
});
