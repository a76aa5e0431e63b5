import { expect, test } from 'vitest';
import { roomProblem } from './data.ts';

const gibibyte = 1024 ** 3;

test.each([
  [gibibyte, 8 * gibibyte, undefined],
  [0.4 * gibibyte, 8 * gibibyte, undefined],
  [0.39 * gibibyte, 8 * gibibyte, 'nearly full: 399 MiB are free'],
  [64 * 1024 * 1024, gibibyte / 2, undefined],
  [63.9 * 1024 * 1024, gibibyte / 2, 'nearly full: 63 MiB are free'],
  [0, gibibyte, 'nearly full: 0 MiB are free'],
])('%d bytes free of %d: %s', (free, size, problem) => {
  expect(roomProblem(free, size)).toBe(problem);
});
