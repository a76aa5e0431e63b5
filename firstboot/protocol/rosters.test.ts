// Which rosters a device takes, one after the other.
import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { type Scenario, scheduleSchema } from '../../lab/simulated/schedule.ts';
import { sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import type { Site } from './site.ts';
import { start, step } from './step.ts';
import type { BootId, Incarnation } from './terms.ts';

const scenario: Scenario = scheduleSchema.parse({ version: 1, devices: 3, schedule: [] });
const edition = (epoch: number, changes: Partial<Parameters<typeof siteFor>[1] & object> = {}): Site =>
  siteFor(scenario, { epoch, deny: [], electors: undefined, fork: false, ...changes });
/** The roster, as if it had been made after another one than it was. */
const following = (site: Site, before: Site): Site => ({ ...site, previous: before.hash });
const first = siteFor(scenario);
const second = edition(2);
const fork = edition(2, { fork: true });

/** Epoch that a device obeys, its alarms, and what its disk is asked to hold, once it was given these. */
function given(...sites: readonly Site[]) {
  const from = { now: 0, random: 5, site: first, place: place(1), boot: 1 as BootId };
  const own = { incarnation: 12 as Incarnation, record: undefined, store: undefined, capable: true };
  let { state } = start({ ...from, ...own }, sealsOf(1));
  for (const [index, site] of sites.entries())
    ({ state } = step(state, { kind: 'roster', now: index + 1, random: 7, site }, sealsOf(1)));
  const { alarms, record } = state;
  return { epoch: state.site.epoch, hash: state.site.hash, alarms, kept: [record.epoch, record.roster] };
}

describe('rosters', () => {
  it('the next one is taken, and is on disk', () => {
    const { epoch, alarms, kept } = given(second);
    expect([epoch, alarms, kept]).toEqual([2, [], [2, second.hash]]);
  });
  it('an older one is not, nor the same again', () => {
    expect(given(second, first, second)).toEqual(given(second));
  });
  it('another one under the same number is an alarm', () => {
    expect(given(second, fork)).toEqual({ ...given(second), alarms: ['roster-fork'] });
  });
  it('the next number after another roster than this device has is an alarm', () => {
    const third = following(edition(3), second);
    expect(given(second, third).epoch).toBe(3);
    expect(given(fork, third)).toEqual({ ...given(fork), alarms: ['roster-fork'] });
    expect(given(following(second, fork))).toEqual({ ...given(), alarms: ['roster-fork'] });
  });
  it('a board that starts with a roster that denies it says so', () => {
    const denied = edition(2, { deny: [1] });
    const from = { now: 0, random: 5, site: denied, place: place(1), boot: 1 as BootId };
    const own = { incarnation: 12 as Incarnation, record: undefined, store: undefined, capable: true };
    expect(start({ ...from, ...own }, sealsOf(1)).state.alarms).toEqual(['denied']);
  });
  it('epochs may be skipped: what counts then is the signature and the number', () => {
    expect(given(edition(3))).toMatchObject({ epoch: 3, alarms: [] });
    expect(given(fork, edition(4))).toMatchObject({ epoch: 4, alarms: [] });
  });
  it('other electors are never taken', () => {
    const { epoch, alarms } = given(edition(3, { electors: [1, 2] }));
    expect([epoch, alarms]).toEqual([1, ['electors-changed']]);
  });
});
