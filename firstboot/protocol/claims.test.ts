import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import type { Checker } from '../../lab/simulated/checkers/checker.ts';
import { arrange } from '../../lab/simulated/people.ts';
import { run } from '../../lab/simulated/run.ts';
import { type Fault, scheduleSchema } from '../../lab/simulated/schedule.ts';
import { keyOf, sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { World } from '../../lab/simulated/world.ts';
import {
  acceptTable,
  closeEnrolment,
  handOut,
  newTable,
  outranksUnplaced,
  replaceBoard,
  seated,
  signTable,
  type Table,
} from './claims.ts';

const claimed = (devices: number, schedule: readonly object[], options: object = {}) =>
  scheduleSchema.parse({ version: 1, devices, enrolment: 'claimed', lasts: 240, ...options, schedule });
const site = siteFor(claimed(4, []));
const first = newTable(site, keyOf(1), place(1));

describe('tables', () => {
  it('places are handed out in order of arrival, once, until none is left', () => {
    let table = first;
    for (const board of [5, 3, 5, 9, 8]) table = handOut(table, keyOf(board), site);
    expect(table.entries.map((entry) => [entry.place, entry.key])).toEqual([
      [1, keyOf(1)],
      [2, keyOf(5)],
      [3, keyOf(3)],
      [4, keyOf(9)],
    ]);
    expect(table.closed).toBe(true);
    expect(handOut(closeEnrolment(first), keyOf(2), site).entries).toHaveLength(1);
  });

  it('a board takes one founder’s table, and only what adds to it', () => {
    const mine = handOut(first, keyOf(2), site);
    const to = (held: Table | undefined, table: Table, by: number) =>
      acceptTable(held, signTable(sealsOf(by), table), keyOf(2), site, sealsOf(2));
    expect(to(undefined, mine, 1)).toBe(mine);
    expect(to(undefined, first, 1)).toBe('not for this board');
    const offer = (table: Table, by: number) => to(mine, table, by);
    const rival = handOut(newTable(site, keyOf(7), place(1)), keyOf(2), site);
    expect(offer(rival, 7)).toBe('another table');
    expect(offer(mine, 1)).toBe('older');
    expect(offer({ ...mine, serial: 9 }, 3)).toBe('not signed by its founder');
    expect(offer({ ...mine, site: 'another' }, 1)).toBe('not for this site');
    const outside = { ...mine, entries: [{ place: place(9), key: keyOf(2), withdrew: false, former: [] }] };
    expect(to(undefined, outside, 1)).toBe('not for this site');
    const moved = {
      ...mine,
      serial: 9,
      entries: [{ place: place(4), key: keyOf(2), withdrew: false, former: [] }],
    };
    expect(offer(moved, 1)).toBe('contradicts');
    expect(offer(handOut(mine, keyOf(3), site), 1)).toHaveProperty('serial', 3);
  });

  it('that a board gave up a table of its own is noted, also where it has a place already', () => {
    const mine = handOut(first, keyOf(2), site);
    expect(handOut(mine, keyOf(2), site)).toBe(mine);
    const noted = handOut(closeEnrolment(mine), keyOf(2), site, true);
    expect(noted.entries[1]).toMatchObject({ key: keyOf(2), withdrew: true });
    expect(handOut(noted, keyOf(2), site, true)).toBe(noted);
    expect(acceptTable(mine, signTable(sealsOf(1), noted), keyOf(2), site, sealsOf(2))).toBe(noted);
    const forged = { ...signTable(sealsOf(1), mine), table: noted };
    expect(acceptTable(mine, forged, keyOf(2), site, sealsOf(2))).toBe('not signed by its founder');
  });

  it('a person may give a place to another board; the former one is never listed again', () => {
    const mine = closeEnrolment(handOut(first, keyOf(2), site));
    const replaced = replaceBoard(mine, place(2), keyOf(5));
    expect(replaced.entries[1]).toEqual({
      place: 2,
      key: keyOf(5),
      withdrew: false,
      former: [keyOf(2)],
    });
    expect(acceptTable(mine, signTable(sealsOf(1), replaced), keyOf(1), site, sealsOf(1))).toBe(replaced);
    expect(replaceBoard(replaced, place(3), keyOf(2))).toBe(replaced);
    expect(replaceBoard(replaced, place(1), keyOf(5))).toBe(replaced);
    expect(replaceBoard(replaced, place(1), keyOf(9)), 'its opener alone can change it').toBe(replaced);
    expect(handOut({ ...replaced, closed: false }, keyOf(2), site).entries).toHaveLength(2);
    const filled = seated(site, replaced);
    expect(filled.members[2]?.key).toBe(keyOf(5));
    expect(filled.electorsHash).not.toBe(site.electorsHash);
    expect(seated(filled, undefined)).toEqual(site);
  });

  it('rank among boards without places is total', () => {
    const a = { class: 1, key: keyOf(1) };
    expect(outranksUnplaced(a, { class: 1, key: keyOf(2) })).toBe(true);
    expect(outranksUnplaced({ class: 2, key: keyOf(0) }, a)).toBe(false);
    expect(outranksUnplaced(a, a)).toBe(false);
  });
});

const power = (devices: number, at = 0): Fault[] =>
  Array.from({ length: devices }, (_, index) => ({ at, event: 'power-on', device: index + 1 }));

describe('claimed sites', () => {
  it.each([1, 2, 3, 7, 20])('%i boards without names become one site', (devices) => {
    const result = run(claimed(devices, power(devices)));
    expect(result.violations).toEqual([]);
    expect(result.foundedAfter).toBeLessThan(devices === 1 ? 50 : 12);
    const places = new Set(result.world.boards.map((board) => board.place));
    expect(places.size).toBe(devices);
    expect(result.world.boards.every((board) => board.state?.record.decided !== undefined)).toBe(true);
  });

  it('two of twenty form a cluster that works, and is not decided', () => {
    const { world, violations } = run(claimed(2, power(2), { places: 20 }));
    expect(violations).toEqual([]);
    expect(world.boards.map((board) => board.state?.phase).sort()).toEqual(['member', 'serving']);
    expect(world.boards[0]?.state?.record.decided).toBeUndefined();
  });

  it('a board flashed again waits, says so, and goes on once a person gives it its place', () => {
    const flashed = [...power(3), { at: 60, event: 'flash', device: 2 }];
    const waits = run(claimed(3, flashed, { heal: false, lasts: 400 }));
    const alarms = waits.world.alarms.map(({ board, alarm }) => [board.device, alarm]);
    expect(waits.world.boards[1]?.state?.phase).toBe('enrolling');
    expect(alarms).toContainEqual([2, 'no-place']);
    const before = run(claimed(3, power(3)));
    const freed = before.world.boards[1]?.place ?? 0;
    const opener = before.world.boards.find((board) => board.key === tableOf(board)?.founder)?.device ?? 0;
    expect(opener).not.toBe(2);
    const replace = { at: 300, event: 'replace', device: opener, place: freed, by: 2 };
    const { world, violations } = run(claimed(3, [...flashed, replace], { heal: false, lasts: 400 }));
    expect(violations).toEqual([]);
    expect(world.boards[1]?.place).toBe(freed);
    expect(world.marks.get('amnesia: recovered'), 'its place voted before').toBe(1);
  });

  it('enrolment that a person closed gives no place', () => {
    const opener = run(claimed(2, power(2))).world.boards.find((b) => b.key === tableOf(b)?.founder)?.device;
    const late = { at: 100, event: 'power-on', device: 3 };
    const close = { at: 60, event: 'close-enrolment', device: opener };
    const schedule = (faults: readonly object[]) =>
      run(claimed(3, [...power(2), ...faults, late], { heal: false, places: 5 })).world.boards[2];
    expect(schedule([])?.place).toBe(3);
    expect(schedule([close])?.state?.alarms).toContain('no-place');
  });

  it('two tables of an empty site meet: one is given up', () => {
    const apart = {
      at: 0,
      event: 'partition',
      sides: [
        [1, 2],
        [3, 4],
      ],
    };
    const faults = [apart, ...power(4), { at: 100, event: 'join-networks' }];
    const { world, violations } = run(claimed(4, faults, { places: 5 }));
    expect(violations).toEqual([]);
    expect(world.clusters.ids).toHaveLength(2);
    expect(new Set(world.boards.map((board) => tableOf(board)?.founder)).size).toBe(1);
    expect(world.marks.get('enrolment: withdrawn')).toBe(1);
  });

  const tableOf = (board: World['boards'][number]) => board.state?.record.claim?.held?.table;
});

/** Boards in networks that split and join: how many tables decided? */
function tablesThatDecided(seed: number, boards: number, places: number): number {
  const half = Math.floor(boards / 2);
  const all = Array.from({ length: boards }, (_, index) => index + 1);
  const apart = { at: 0, event: 'partition', sides: [all.slice(0, half), all.slice(half)] };
  const faults = [apart, ...power(boards), { at: 100, event: 'join-networks' }];
  const decided = new Set<string>();
  const watch: Checker = {
    promise: 'counts',
    persisted: (_, __, { claim, decided: certificate }) => {
      const table = claim?.held?.table;
      if (certificate !== undefined && table !== undefined) decided.add(table.founder);
    },
  };
  const world = new World(claimed(boards, faults, { seed, places }), [watch], false);
  arrange(world);
  world.run(400_000);
  return decided.size;
}

describe('at most one table decides', () => {
  it('with as many boards as places, or fewer', () => {
    for (let seed = 0; seed < 20; seed += 1)
      expect(tablesThatDecided(seed, 2 + (seed % 6), 7), `seed ${seed}`).toBeLessThanOrEqual(1);
  });
  it('with more boards than places it fails, as it is said to', () => {
    expect(tablesThatDecided(1, 10, 5)).toBe(2);
  });
});
