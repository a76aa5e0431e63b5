import { describe, expect, it } from 'vitest';
import { drawWalk, Walk } from './walks.ts';

/** Places 1 and 2 decide, and only 1 knows; then 1 is flashed. */
function forgotten(meet: readonly (readonly [number, number])[]): Walk {
  const walk = new Walk(3);
  for (const [place, other] of [[1, 2], [2, 1], ...meet] as const) walk.hears(place, other);
  walk.begins(1);
  walk.gets(2, 'prepare', 1);
  walk.gets(1, 'promise', 2);
  walk.gets(2, 'accept', 1);
  walk.gets(1, 'accepted', 2);
  expect(walk.decisions).toHaveLength(1);
  walk.flashed(1);
  walk.flying = [];
  return walk;
}

/** Everybody hears everybody, words are not lost any more, and whoever has reason to speaks. */
function settle(walk: Walk): void {
  for (let round = 0; round < 12; round += 1) {
    for (const place of walk.places)
      for (const other of walk.places) if (other !== place) walk.hears(place, other);
    for (const place of walk.places) {
      if (walk.state(place).record.amnesiac) walk.asks(place);
      else if (round > 3 && walk.state(place).record.decided === undefined) walk.begins(place);
      for (let one = walk.flying[0]; one !== undefined; one = walk.flying[0]) walk.arrives(one);
    }
  }
}

function meet(walk: Walk, one: number, other: number): void {
  walk.hears(one, other);
  walk.hears(other, one);
}

describe('an elector was flashed after it signed', () => {
  it('nobody knew it before: the generation decides twice, and that is excused', () => {
    const walk = forgotten([]);
    meet(walk, 3, 1);
    walk.begins(3);
    walk.gets(1, 'prepare', 3);
    walk.gets(3, 'promise', 1);
    walk.gets(1, 'accept', 3);
    walk.gets(3, 'accepted', 1);
    expect(new Set(walk.decisions.map(({ value }) => value.cluster)).size).toBe(2);
    expect(walk.contradiction()).toBeUndefined();
  });

  it('what it promised before it noticed counts for nothing with one who told it', () => {
    const walk = forgotten([
      [3, 1],
      [1, 3],
    ]);
    walk.knows(1, 3);
    walk.begins(3);
    walk.gets(1, 'prepare', 3);
    walk.knows(3, 1);
    walk.gets(3, 'promise', 1);
    walk.hears(1, 3);
    expect(walk.state(1).record.amnesiac).toBe(true);
    walk.asks(1);
    walk.gets(3, 'recover', 1);
    walk.repeats(3);
    expect(walk.state(3).record.accepted).toBeUndefined();
    walk.flying = [];
    settle(walk);
    expect(walk.decisions.length).toBeGreaterThan(1);
    expect(new Set(walk.decisions.map(({ value }) => value.cluster)).size).toBe(1);
  });

  it('nor with one who accepts', () => {
    const walk = forgotten([]);
    meet(walk, 3, 1);
    walk.begins(3);
    walk.gets(1, 'prepare', 3);
    walk.gets(3, 'promise', 1);
    walk.gets(1, 'accept', 3, true);
    meet(walk, 2, 1);
    walk.asks(1);
    walk.gets(2, 'recover', 1);
    meet(walk, 2, 3);
    const before = walk.state(2).record.accepted;
    walk.repeats(3);
    walk.gets(2, 'accept', 3, true);
    walk.gets(2, 'accept', 3);
    expect(walk.state(2).record.accepted).toEqual(before);
  });
});

describe('walks', () => {
  it.each([
    [3, 1, 3_000, 150],
    [3, 2, 3_000, 200],
    [5, 2, 1_000, 400],
  ])(
    '%i electors, %i flashed, %i walks: two decisions only where it is excused',
    (electors, flashes, count, steps) => {
      let decided = 0;
      for (let seed = 0; seed < count; seed += 1) {
        const walk = drawWalk(seed, electors, flashes, steps);
        expect(walk.contradiction(), `walk ${seed}`).toBeUndefined();
        if (walk.decisions.length > 0) decided += 1;
      }
      expect(decided).toBeGreaterThan(count / 4);
    },
    60_000,
  );
});
