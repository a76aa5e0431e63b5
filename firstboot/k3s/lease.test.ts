import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Lease } from './lease.ts';
import { openServed, type Served } from './served.fixture.ts';

const object = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/edgekiln-reconciler';
let served: Served;
beforeAll(async () => {
  served = await openServed();
}, 60_000);
afterAll(() => served?.close());
beforeEach(async () => void (await (await served.serving.api()).ask('DELETE', object)));

const lease = (holder: string): Lease => new Lease(served.serving, holder);
const version = async (): Promise<unknown> => {
  const { metadata } = await (await served.serving.api()).object('GET', object);
  return (metadata as { resourceVersion: string }).resourceVersion;
};

test('one of two that want it has it', async () => {
  const both = await Promise.all([lease('1').hold(0), lease('2').hold(0)]);
  expect(both.sort()).toEqual([false, true]);
});

test('the holder keeps it and writes it every fifteen seconds, not with every look', async () => {
  const mine = lease('1');
  expect(await mine.hold(0)).toBe(true);
  const written = await version();
  expect(await mine.hold(14_999)).toBe(true);
  expect(await version()).toBe(written);
  expect(await mine.hold(15_000)).toBe(true);
  expect(await version()).not.toBe(written);
});

test('another takes it after 45 s in which it did not change, by its own clock', async () => {
  const holder = lease('1');
  const other = lease('2');
  await holder.hold(0);
  // The clocks of two devices have nothing to do with each other.
  expect(await other.hold(1_000_000)).toBe(false);
  expect(await other.hold(1_044_999)).toBe(false);
  await holder.hold(15_000);
  expect(await other.hold(1_045_000)).toBe(false);
  expect(await other.hold(1_089_999)).toBe(false);
  expect(await other.hold(1_090_000)).toBe(true);
  // The first one finds out with its next renewal.
  expect(await holder.hold(15_001)).toBe(true);
  expect(await holder.hold(30_000)).toBe(false);
});

test('a holder that starts anew has its own lease at once', async () => {
  await lease('1').hold(0);
  expect(await lease('1').hold(5)).toBe(true);
});
