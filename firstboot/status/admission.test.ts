import { expect, test } from 'vitest';
import { Admission } from './admission.ts';

test('an address has so many connections open at once', () => {
  const admission = new Admission();
  const leaves = Array.from({ length: 8 }, () => admission.enter('a', 0));
  expect(leaves.every((leave) => leave !== false)).toBe(true);
  expect(admission.enter('a', 0)).toBe(false);
  expect(admission.enter('b', 0)).not.toBe(false);
  const [first] = leaves;
  if (first) first();
  expect(admission.enter('a', 0)).not.toBe(false);
});

function knock(admission: Admission, address: string, now: number): boolean {
  const leave = admission.enter(address, now);
  if (leave === false) return false;
  leave();
  return true;
}

test('an address has so many connections a minute, and gets them back with time', () => {
  const admission = new Admission();
  const tries = Array.from({ length: 100 }, () => knock(admission, 'a', 0));
  expect(tries.filter(Boolean)).toHaveLength(30);
  const later = Array.from({ length: 100 }, () => knock(admission, 'a', 2));
  expect(later.filter(Boolean)).toHaveLength(6);
});

test('its memory is bounded: a flood of addresses makes it forget idle ones only', () => {
  const admission = new Admission();
  const held = Array.from({ length: 8 }, () => admission.enter('held', 0));
  for (let index = 0; index < 10_000; index += 1) expect(knock(admission, `flood ${index}`, 0)).toBe(true);
  expect(admission.enter('held', 0)).toBe(false);
  expect(held).not.toContain(false);
});
