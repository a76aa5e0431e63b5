import { expect, test } from 'vitest';
import { place } from '../../formats/roster.ts';
import type { FormationView, PlaceView } from '../formation/view.ts';
import { alarmLines, boardsSeen, siteRows, siteWait } from './site.ts';

const self: PlaceView = {
  place: place(1),
  name: 'shop-01',
  seen: 'self',
  phase: 'listening',
  server: false,
  ours: false,
  eligible: true,
};
const two: PlaceView = { ...self, place: place(2), name: 'shop-02', seen: 'now' };
const three: PlaceView = { ...self, place: place(3), name: 'shop-03', seen: 'never', phase: null };
const view: FormationView = {
  phase: 'listening',
  phaseFor: 12,
  role: 'none',
  policy: 'first-online',
  epoch: 1,
  cluster: null,
  places: [self, two, three],
  serverHeard: false,
  alarms: [],
};
const cluster = { id: 'c1c1c1c1c101', founder: 'shop-02', servers: 1, members: 2, decided: false };

test('boards are counted, and those that are missing are named', () => {
  expect(boardsSeen(view.places)).toBe('2 of 3 boards seen; shop-03 has not appeared');
  expect(boardsSeen([self, { ...two, seen: 'earlier' }, three])).toBe(
    '2 of 3 boards seen; shop-03 has not appeared; shop-02 is silent now',
  );
  const many = Array.from({ length: 9 }, (_, index) => ({ ...three, name: `n${index}` }));
  expect(boardsSeen([self, ...many])).toBe(
    '1 of 10 boards seen; n0, n1, n2, n3 and 5 more have not appeared',
  );
});

test.each([
  [{}, 'the boards of its site: 2 of 3 boards seen; shop-03 has not appeared'],
  [{ places: [self, { ...two, phase: 'founding' }] }, 'the cluster that shop-02 founds'],
  [{ places: [self, { ...two, server: true }] }, 'the cluster of shop-02 to let it in'],
  [{ places: [self] }, 'the network to settle; then it founds its cluster'],
  [{ places: [self, two] }, 'one of the 2 boards to found the cluster: all are seen'],
  [{ phase: 'founding' }, 'k3s to answer for the first time; it imports images'],
  [{ phase: 'joining', cluster }, 'its place in the cluster that shop-02 founded; it imports images'],
  [{ phase: 'member', cluster }, 'a server of its cluster to be heard again'],
  [{ phase: 'member', cluster, serverHeard: true }, 'k3s to work on this device; it imports images'],
  [{ phase: 'serving', cluster }, 'k3s to work on this device; it imports images'],
  [{ phase: 'holding' }, 'a person: see the problems below'],
] as const)('it says what it waits for: %j', (changed, words) => {
  const k3s = {
    k3s: 'starting',
    role: 'agent',
    doing: 'imports images',
    nodes: undefined,
    problems: [],
  } as const;
  expect(siteWait({ ...view, ...changed }, k3s)).toBe(words);
});

test('a device of a cluster waits for nothing where its k3s works, and says where it does not', () => {
  const k3s = { k3s: 'running', role: 'server', doing: undefined, nodes: [], problems: [] } as const;
  const down = { ...k3s, k3s: 'starting', doing: 'waits for k3s', nodes: undefined } as const;
  for (const phase of ['serving', 'member'] as const) {
    const formed = { ...view, phase, cluster, serverHeard: true };
    expect(siteWait(formed, k3s)).toBeUndefined();
    expect(siteWait(formed, down)).toBe('k3s to work on this device');
  }
});

test('rows come from the cluster where it can be asked, else from what was heard', () => {
  const serving = {
    ...view,
    phase: 'serving',
    cluster,
    places: [self, { ...two, server: true }, three],
  } as const;
  expect(siteRows(serving, undefined)).toEqual([
    ['cluster', 'c1c1c1c1c101, founded by shop-02, 1 server, 2 nodes, not decided yet'],
    ['shop-02', 'server'],
    ['shop-03', 'not heard since this device started'],
  ]);
  const nodes = [{ name: 'shop-02', role: 'server', ready: false }] as const;
  expect(
    siteRows(serving, { k3s: 'running', role: 'server', doing: undefined, nodes, problems: [] }),
  ).toEqual([
    ['cluster', expect.any(String)],
    ['shop-02', 'server, NOT READY'],
  ]);
});

test('an alarm says what to do', () => {
  expect(alarmLines({ ...view, alarms: [{ alarm: 'clone', about: 'place 2', for: 3 }] })).toEqual([
    'another board speaks for this place: switch one of the two off and flash it as another device (place 2)',
  ]);
  const fork = {
    alarm: 'roster-fork',
    about: 'epoch 3 does not follow the one of this device',
    for: 3,
  } as const;
  expect(alarmLines({ ...view, alarms: [fork] })).toEqual([
    'two rosters of this site carry the same number, or a newer one does not follow the one before: flash every device from one build, with the keys of one folder (epoch 3 does not follow the one of this device)',
  ]);
});
