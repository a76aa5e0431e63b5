import { expect, test } from 'vitest';
import { place } from '../../formats/roster.ts';
import { Addresses } from './addresses.ts';

const two = place(2);
const group = (address: string) => ({ address, direct: false });

test('the most useful address comes first, and only a few are kept', () => {
  const addresses = new Addresses();
  for (const address of ['10.0.0.1', 'fe80::1%eth0', 'fe80::1%site0', '10.0.0.2'])
    addresses.heard(two, group(address), 0);
  expect(addresses.of(two)).toEqual(['fe80::1%eth0', '10.0.0.2', '10.0.0.1', 'fe80::1%site0']);
  for (let host = 3; host < 20; host += 1) addresses.heard(two, group(`10.0.0.${host}`), host);
  expect(addresses.of(two)).toEqual(['10.0.0.19', '10.0.0.18', '10.0.0.17', '10.0.0.16', '10.0.0.15']);
  expect(addresses.of(place(3))).toEqual([]);
});

test('who is not heard by broadcast is spoken to directly, if it asked so or is sought', () => {
  const addresses = new Addresses();
  addresses.heard(two, group('10.0.0.2'), 0);
  expect(addresses.aside(() => true, 44_000)).toEqual([]);
  expect(addresses.aside(() => true, 46_000)).toEqual([{ place: two, addresses: ['10.0.0.2'] }]);
  expect(addresses.aside(() => false, 46_000)).toEqual([]);
  addresses.heard(two, { address: '10.0.0.2', direct: true }, 50_000);
  expect(addresses.aside(() => false, 60_000)).toEqual([{ place: two, addresses: ['10.0.0.2'] }]);
  expect(addresses.aside(() => false, 180_000)).toEqual([]);
  addresses.heard(two, group('10.0.0.2'), 61_000);
  expect(addresses.aside(() => true, 62_000)).toEqual([]);
});

test('who knocks is answered where it knocked, for a while, and not looked for there', () => {
  const addresses = new Addresses();
  addresses.knocked(two, group('10.0.0.2'), 0);
  expect(addresses.aside(() => true, 1000)).toEqual([]);
  addresses.knocked(two, { address: '10.0.0.2', direct: true }, 0);
  expect(addresses.aside(() => false, 1000)).toEqual([{ place: two, addresses: ['10.0.0.2'] }]);
  expect(addresses.of(two)).toEqual([]);
  expect(addresses.heardLately(two, 1000)).toBe(false);
  expect(addresses.aside(() => true, 16_000)).toEqual([]);
  // Also one that was heard before by what it says to everybody: it may have been flashed again.
  addresses.heard(two, group('10.0.0.9'), 20_000);
  addresses.knocked(two, { address: '10.0.0.2', direct: true }, 21_000);
  expect(addresses.aside(() => false, 22_000)).toEqual([{ place: two, addresses: ['10.0.0.2'] }]);
  addresses.heard(two, group('10.0.0.9'), 23_000);
  expect(addresses.aside(() => false, 24_000)).toEqual([]);
  expect(addresses.heardLately(two, 24_000)).toBe(true);
});
