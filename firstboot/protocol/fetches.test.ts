// One thing is fetched at a time, and a peer that has nothing to give keeps nobody from being asked.
import { expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { mayFetch, onFetched } from './fetches.ts';
import { start } from './step.ts';
import type { BootId, Incarnation } from './terms.ts';
import { Turn } from './turn.ts';

/** Who is asked: peers that have something newer, as they are heard, and what their answers were worth. */
function asked(...heard: readonly (readonly [seconds: number, from: number, useful?: boolean])[]): number[] {
  const site = siteFor(scheduleSchema.parse({ version: 1, devices: 3, schedule: [] }));
  const from = { now: 0, random: 5, site, place: place(1), boot: 1 as BootId, incarnation: 7 as Incarnation };
  let { state } = start({ ...from, record: undefined, store: undefined, capable: true }, sealsOf(1));
  return heard.flatMap(([seconds, peer, useful]) => {
    const turn = new Turn(state, seconds * 1000, 1, sealsOf(1));
    const asks = mayFetch(turn, place(peer));
    if (asks && useful !== undefined) onFetched(turn, useful);
    state = turn.state;
    return asks ? [seconds] : [];
  });
}

it('one at a time, until it answers or its time is over', () => {
  expect(asked([1, 2], [2, 2], [3, 3], [6, 3])).toEqual([1, 6]);
  expect(asked([1, 2, true], [2, 2, true], [3, 3])).toEqual([1, 2, 3]);
});

it('one that was of no use lets others come first', () => {
  expect(asked([1, 2], [6, 2], [7, 2], [8, 3])).toEqual([1, 8]);
  expect(asked([1, 2, false], [2, 2], [3, 3, true], [4, 2])).toEqual([1, 3, 4]);
  expect(asked([1, 2], [10.9, 2], [11, 2])).toEqual([1, 11]);
});
