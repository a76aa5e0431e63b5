// A founder that is gone for good: who may go on without it, when, and who waits for a person.
import { describe, expect, it } from 'vitest';
import { arrange } from '../../lab/simulated/people.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import { World } from '../../lab/simulated/world.ts';
import { alarms, clusters, generation, marked, site } from './site.fixture.ts';

describe('a founder lost for good', () => {
  const lost = [{ at: 100, event: 'power-off' as const, device: 3 }];
  it('empty: a quorum proves it, and the next generation founds', () => {
    const result = site(4, lost, { lasts: 4_000 });
    expect(generation(result)).toBe(2);
    expect(marked(result, 'generation: lost')).toBeGreaterThan(0);
  });
  it('with data: a person is asked, nothing is founded', () => {
    const result = site(4, [{ at: 60, event: 'deploy', device: 3 }, ...lost], { lasts: 4_000 });
    expect(generation(result)).toBe(1);
    expect(clusters(result)).toBe(1);
    expect(alarms(result)).toContain('founder-lost');
  });
  it('with data, and a profile that says refound', () => {
    const faults = [{ at: 60, event: 'deploy' as const, device: 3 }, ...lost];
    expect(generation(site(4, faults, { lasts: 4_000, refound: true }))).toBe(2);
  });
  it.each([4, 5, 6, 7])('%i boards: one of them founds the next generation, not each', (devices) => {
    for (let seed = 1; seed <= 5; seed += 1) {
      expect(clusters(site(devices, lost, { seed, lasts: 4_000 })), `lost, seed ${seed}`).toBe(2);
      const flashed = [{ at: 100, event: 'flash' as const, device: 3 }];
      expect(clusters(site(devices, flashed, { seed, lasts: 600 })), `flashed, seed ${seed}`).toBe(2);
    }
  });
  it('majority: it is left to a person, whose newer roster says first-online', () => {
    const result = site(4, lost, { lasts: 4_000, policy: 'majority', heal: false });
    expect([clusters(result), generation(result), [...alarms(result)]]).toEqual([1, 1, ['founder-lost']]);
    // Again, without checkers: they go by the policy that the site began with.
    const { scenario } = result.world;
    const world = new World(scenario, [], false);
    arrange(world);
    world.run(4_000_000);
    const edition = { epoch: 2, deny: [], electors: undefined, fork: false };
    const roster = siteFor({ ...scenario, policy: 'first-online' }, edition);
    world.boards[0]?.takeRoster({ ...roster, previous: world.boards[0].site.hash });
    world.run(6_000_000);
    expect(world.clusters.ids).toHaveLength(2);
    const phases = world.boards.map(({ state }) => state?.phase);
    expect(phases.sort()).toEqual(['member', 'member', 'serving', undefined]);
  });
  it('denied, and empty: for the others it is lost', () => {
    const denied = { at: 100, event: 'roster' as const, device: 1, epoch: 2, deny: [3] };
    const { world } = site(4, [denied]);
    const others = world.boards.filter(({ device }) => device !== 3);
    expect(others.map(({ state }) => state?.record.generation)).toEqual([2, 2, 2]);
    expect(world.boards[2]?.state?.alarms).toContain('denied');
  });
});
