import { expect, test } from 'vitest';
import { Knocking } from './knocking.ts';

const doorsOf = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('a site of 253 goes to 24 doors at a time, and to all of them before one that is alone founds', () => {
  const knocking = new Knocking();
  const knocked: number[] = [];
  for (let now = 1_000; now < 1_000 + 45_000; now += 500) {
    const round = knocking.round(doorsOf(252), now);
    expect(round.length).toBeLessThanOrEqual(24);
    knocked.push(...round);
  }
  expect(new Set(knocked)).toEqual(new Set(doorsOf(252)));
});

test('a small site goes to every door each round: not at once, every 3 s, after two minutes every 30 s', () => {
  const knocking = new Knocking();
  const rounds: number[] = [];
  for (let now = 0; now <= 200_000; now += 500) {
    const round = knocking.round(doorsOf(3), now);
    if (round.length === 0) continue;
    expect(round).toEqual([1, 2, 3]);
    rounds.push(now / 1000);
  }
  expect(rounds.slice(0, 3)).toEqual([3, 6, 9]);
  expect(rounds.slice(-3)).toEqual([120, 150, 180]);
});

test('who left the roster is no reason to leave a round out', () => {
  const knocking = new Knocking();
  knocking.round(doorsOf(60), 0);
  expect(knocking.round(doorsOf(60), 3_000)).toEqual(doorsOf(24));
  expect(knocking.round(doorsOf(10), 6_000)).toEqual(doorsOf(10));
});
