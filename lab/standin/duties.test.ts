import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Duties } from './duties.ts';
import { decideRequest } from './found.ts';
import { apply, emptyState, type JsonObject, type Member, nodeKey, type State } from './state.ts';

const member = (id: number, name: string): Member => ({
  id,
  name,
  node: name,
  etcdName: `${name}-0000000${id}`,
  address: `10.0.0.${id}`,
  voter: true,
});
/** Two servers whose nodes nothing ties to their members yet. */
function untied(): State {
  const state = emptyState('c1');
  state.roll = { ...state.roll, members: [member(1, 'a'), member(2, 'b')] };
  for (const name of ['a', 'b'])
    state.objects[nodeKey(name)] = { kind: 'Node', metadata: { name, resourceVersion: '1' } };
  return state;
}
const tieOf = (state: State, name: string) =>
  JSON.stringify(state.objects[nodeKey(name)]?.['metadata']).match(/node-name":"([^"]+)/)?.[1];

/** The store of a server that has the last word itself; all members seem to be alive. */
function storeOf(state: State, own: number, leads: boolean) {
  const decided = (value: Parameters<typeof apply>[2] | undefined): number => {
    if (value !== undefined) apply(state, state.revision + 1, value);
    return state.revision;
  };
  return {
    state,
    identity: { cluster: 'c1', member: own },
    leads,
    hasLeader: true,
    alive: () => true,
    behind: () => 0,
    change: async (decide: (state: State) => Parameters<typeof apply>[2] | undefined) =>
      decided(decide(state)),
    request: async (request: JsonObject) => {
      const { reply, value } = decideRequest(state, request, 0, 'ca', () => true);
      decided(value);
      return reply;
    },
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('each server ties its own node: the leader does not for one that seems to be alive', async () => {
  const state = untied();
  new Duties(storeOf(state, 1, true), 'ca');
  await vi.advanceTimersByTimeAsync(5_000);
  expect([tieOf(state, 'a'), tieOf(state, 'b')]).toEqual(['a-00000001', undefined]);
  new Duties(storeOf(state, 2, false), 'ca');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(tieOf(state, 'b')).toBe('b-00000002');
});

test('a node whose member somebody asked to have removed is not tied again', async () => {
  const state = untied();
  const annotations = { 'etcd.k3s.cattle.io/remove': 'true' };
  state.objects[nodeKey('b')] = { kind: 'Node', metadata: { name: 'b', annotations } };
  new Duties(storeOf(state, 2, false), 'ca');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(tieOf(state, 'b')).toBeUndefined();
});
