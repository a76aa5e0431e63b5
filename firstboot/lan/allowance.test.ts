import { expect, test } from 'vitest';
import { Allowance } from './allowance.ts';

const takes = (allowance: Allowance, source: string, times: number, now: number): number =>
  Array.from({ length: times }, () => allowance.take(source, now)).filter(Boolean).length;

test('a source has a burst, then its rate; another is not held up by it', () => {
  const allowance = new Allowance();
  expect(takes(allowance, 'a', 100, 0)).toBe(60);
  expect(takes(allowance, 'b', 10, 0)).toBe(10);
  expect(takes(allowance, 'a', 100, 1000)).toBe(20);
});

test('all together have a limit too, and memory of sources is bounded', () => {
  const allowance = new Allowance();
  let taken = 0;
  for (let source = 0; source < 5000; source += 1) taken += takes(allowance, `s${source}`, 1, 0);
  expect(taken).toBe(1000);
  expect(takes(allowance, 's0', 100, 100)).toBe(50);
});
