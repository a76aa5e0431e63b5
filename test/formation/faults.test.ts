// The faults every site meets, by the numbers of docs/formation.md. Each: nothing is broken, and the site forms in time.
import { describe, expect, it } from 'vitest';
import { alarms, all, clusters, generation, marked, on, site } from './site.fixture.ts';

describe('formation', () => {
  it('1 all at once', () => {
    const result = site(5, []);
    expect(clusters(result)).toBe(1);
    expect(result.foundedAfter).toBeLessThan(12);
  });
  it('2 one by one over a day', () => {
    const result = site(4, [on(1, 0), on(2, 7_200), on(3, 30_000), on(4, 80_000)], { lasts: 86_400 });
    expect(clusters(result)).toBe(1);
    expect(result.foundedAfter).toBeLessThan(50);
  });
  it.each(['first-online', 'majority'])(
    '2 the one that a quorum lacked comes after an hour (%s)',
    (policy) => {
      const result = site(3, [on(1, 0), on(2, 3_600), on(3, 3_700)], { policy, lasts: 3_800 });
      expect(result.decidedAfter).toBeLessThan(90);
      expect(result.world.alarms, 'nobody misses a founder').toEqual([]);
    },
  );
  it('3 fewer than a majority: two of twenty form a cluster that works for ever', () => {
    const others = Array.from({ length: 18 }, (_, index) => on(index + 3, 999_999));
    const result = site(20, others, { lasts: 86_400, heal: false });
    const [one, two] = result.world.boards;
    expect([one?.state?.phase, two?.state?.phase].sort()).toEqual(['member', 'serving']);
    expect(marked(result, 'phase: leave') + marked(result, 'generation: opened')).toBe(0);
    expect(result.world.datagrams / 2 / 86_400, 'datagrams a device and second').toBeLessThan(0.2);
  });
  it.each([1, 2])('4 a site of %i', (devices) => {
    const result = site(devices, []);
    expect(clusters(result)).toBe(1);
    expect(result.foundedAfter).toBeLessThan(50);
  });
  it.each([0, 20, 60, 120])('5 the trunk comes up after %i s', (after) => {
    const sides = [
      [1, 2, 3],
      [4, 5, 6],
    ];
    const result = site(6, [
      { at: 0, event: 'partition', sides },
      { at: after, event: 'join-networks' },
    ]);
    expect(result.foundedAfter).toBeLessThan(12);
  });
  it('6 ports under spanning tree', () => {
    const result = site(4, [], { spanningTree: true });
    expect(clusters(result)).toBe(1);
    expect(result.foundedAfter).toBeLessThan(50);
  });
  it.each([
    [7, 0.3],
    [8, 0.8],
  ])('%i loss of %f', (_, loss) => {
    const result = site(4, [
      { at: 0, event: 'network', loss },
      { at: 150, event: 'network', loss: 0 },
    ]);
    expect(result.foundedAfter).toBeLessThan(50);
  });
  it('9 half a second of delay', () => {
    expect(site(4, [{ at: 0, event: 'network', loss: 0, delay: 0.5 }]).foundedAfter).toBeLessThan(20);
  });
  it('9 everything twice, and half of it up to 5 s late', () => {
    const network = { at: 0, event: 'network' as const, loss: 0, delay: 0.01, duplicates: 1, late: 0.5 };
    const result = site(5, [network]);
    expect(clusters(result)).toBe(1);
    expect(marked(result, 'discovery: copy dropped')).toBeGreaterThan(20);
    expect(result.foundedAfter).toBeLessThan(20);
  });
  it('10 a one-way link', () => {
    site(3, [
      { at: 0, event: 'one-way', device: 3, to: 1 },
      { at: 0, event: 'one-way', device: 1, to: 2 },
    ]);
  });
  it('11 a three-way partition', () => {
    const result = site(7, [
      {
        at: 0,
        event: 'partition',
        sides: [
          [1, 2],
          [3, 4],
          [5, 6, 7],
        ],
      },
      { at: 100, event: 'join-networks' },
    ]);
    expect(clusters(result), 'each side was usable').toBe(3);
    expect(marked(result, 'phase: yield')).toBeGreaterThan(0);
  });
  it('12 duelling proposers', () => {
    const result = site(6, [
      {
        at: 0,
        event: 'partition',
        sides: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
      { at: 60, event: 'join-networks' },
      { at: 60, event: 'network', loss: 0.3 },
    ]);
    expect(clusters(result)).toBe(2);
    expect(marked(result, 'decision: decided')).toBe(1);
  });
});

describe('crash and disk', () => {
  it('13 the founder’s port flaps at every step', () => {
    for (let at = 9.5; at < 30; at += 0.5) {
      site(3, [
        { at, event: 'port-down', device: 3 },
        { at: at + 4, event: 'port-up', device: 3 },
      ]);
    }
  });
  it('14 the founder dies while provisional and returns', () => {
    const result = site(3, [{ at: 19, event: 'power-off', device: 3 }, on(3, 60), on(3, 0)]);
    expect(marked(result, 'decision: decided')).toBeGreaterThan(0);
  });
  it('15 power cut at every moment of the founding and the votes', () => {
    for (let at = 10; at < 21; at += 0.23) {
      site(3, [on(1, 0), on(2, 0), on(3, 0), ...all(3, 'power-off', at), ...all(3, 'power-on', at + 5)]);
    }
  });
  it('17 the founder’s disk is full from the start: another founds', () => {
    const result = site(3, [
      { at: 0, event: 'disk-full', device: 3 },
      { at: 200, event: 'disk-works', device: 3 },
    ]);
    expect(alarms(result)).toContain('disk');
    expect(clusters(result)).toBe(1);
  });
  it('18 one device flashed again: it recovers before it votes', () => {
    const result = site(5, [{ at: 5, event: 'flash', device: 5 }]);
    expect(marked(result, 'amnesia: recovered')).toBeGreaterThan(0);
  });
  it('18 the only server flashed again: it says so, and the site goes on in the next generation', () => {
    const result = site(5, [{ at: 100, event: 'flash', device: 3 }], { lasts: 600 });
    expect(marked(result, 'generation: gone')).toBeGreaterThan(0);
    expect(generation(result)).toBe(2);
  });
  describe('18 a device flashed again that hears nobody', () => {
    const alone = [
      { at: 60, event: 'flash' as const, device: 1 },
      { at: 60, event: 'partition' as const, sides: [[2, 3, 4], [1]] },
      { at: 400, event: 'join-networks' as const },
    ];
    it('founds by itself where that is allowed, and yields when it hears the site', () => {
      const result = site(4, alone, { lasts: 600 });
      expect(clusters(result)).toBe(2);
      expect(marked(result, 'phase: yield')).toBe(1);
      expect(new Set(result.world.boards.map(({ k3s }) => k3s.storeOf())).size).toBe(1);
    });
    it('holds, and calls a person, if somebody put data into what it founded', () => {
      const used = { at: 300, event: 'deploy' as const, device: 1 };
      const result = site(4, [...alone, used], { lasts: 600 });
      expect(alarms(result)).toContain('holds-data');
      expect(result.world.boards[0]?.k3s.process).toBe('running');
    });
    it('looks again when a person resolves it, and says again what it holds', () => {
      const used = { at: 300, event: 'deploy' as const, device: 1 };
      const resolved = { at: 550, event: 'resolve' as const, device: 1 };
      const result = site(4, [...alone, used, resolved], { lasts: 600, heal: false });
      const state = result.world.boards[0]?.state;
      expect([marked(result, 'phase: servesAgain'), state?.phase, state?.alarms]).toEqual([
        1,
        'holding',
        ['holds-data'],
      ]);
    });
    it.each(['majority', 'designated: 1'])('never founds where %s is asked first', (policy) => {
      const result = site(4, alone, { lasts: 600, policy });
      expect(clusters(result)).toBe(1);
    });
  });
  it('18 the only server flashed again: an agent that has data holds, also after a person’s word', () => {
    const faults = [
      { at: 60, event: 'deploy' as const, device: 1 },
      { at: 100, event: 'flash' as const, device: 3 },
      { at: 400, event: 'resolve' as const, device: 1 },
    ];
    const result = site(4, faults, { lasts: 600, heal: false });
    const state = result.world.boards[0]?.state;
    expect([state?.phase, state?.alarms]).toEqual(['holding', ['holds-data']]);
    expect(marked(result, 'phase: memberAgain')).toBe(1);
    const others = result.world.boards.slice(1).map((board) => board.k3s.storeOf());
    expect(new Set(others).size, 'the others go on without it').toBe(1);
    expect(others[0]).not.toBe(result.world.boards[0]?.k3s.storeOf());
  });
  it('18 one that held beside the decided cluster serves, once its own is decided in the next generation', () => {
    const result = site(5, [
      {
        at: 0,
        event: 'partition',
        sides: [
          [2, 4, 5],
          [1, 3],
        ],
      },
      { at: 60, event: 'deploy', device: 1 },
      { at: 65, event: 'join-networks' },
      { at: 130, event: 'flash', device: 4 },
    ]);
    expect([clusters(result), generation(result)]).toEqual([2, 2]);
    expect(marked(result, 'phase: conflict')).toBe(1);
    expect(marked(result, 'phase: servesAgain')).toBe(1);
    expect(result.world.boards[2]?.state).toMatchObject({ phase: 'serving' });
  });
  it('19 a majority flashed again is told to a person', () => {
    const flashes = [2, 3, 4].map((device) => ({ at: 3, event: 'flash' as const, device }));
    const result = site(4, flashes, { policy: 'majority', lasts: 900 });
    expect(alarms(result)).toContain('memory-lost');
    expect(clusters(result)).toBe(0);
  });
  it('20 an image cloned onto a second board', () => {
    const result = site(4, [{ at: 40, event: 'clone', device: 2 }]);
    expect(alarms(result)).toContain('clone');
    expect(clusters(result)).toBe(1);
  });
  it.each(['first-online', 'majority'])('20 a clone of the founder makes nobody leave (%s)', (policy) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const cloned = { at: 40 + 9 * seed, event: 'clone' as const, device: 3 };
      const result = site(5, [cloned], { seed, policy, heal: false, lasts: 6_000 });
      expect(alarms(result)).toContain('clone');
      expect([marked(result, 'phase: leave'), clusters(result), generation(result)]).toEqual([0, 1, 1]);
    }
  });
  it('20 two boards with one stamp hold, until one is unplugged and a person says so', () => {
    const { world } = site(3, [{ at: 0, event: 'clone', device: 1 }], { heal: false, lasts: 120 });
    const [first, second] = world.boards.filter((board) => board.device === 1);
    expect([first?.state?.phase, second?.state?.phase]).toEqual(['holding', 'holding']);
    second?.powerOff();
    first?.feed({ kind: 'resolve' });
    expect(first?.state?.phase).toBe('joining');
    world.run(240_000);
    expect(first?.state?.phase).toBe('member');
    expect(world.marks.get('phase: released')).toBe(1);
  });
  it('19 what a majority forgot is let go by a person’s word', () => {
    const flashes = [2, 3, 4].map((device) => ({ at: 3, event: 'flash' as const, device }));
    const resolved = [1, 2, 3, 4].map((device) => ({ at: 600, event: 'resolve' as const, device }));
    const result = site(4, [...flashes, ...resolved], { policy: 'majority', lasts: 900 });
    expect(clusters(result)).toBe(1);
  });
  it('20 two boards with one stamp from the start hold', () => {
    const result = site(3, [{ at: 0, event: 'clone', device: 3 }]);
    expect(alarms(result)).toContain('clone');
    expect(clusters(result)).toBeLessThanOrEqual(1);
  });
});

describe('clocks', () => {
  it.each([
    [21, 0],
    [22, 2_177_452_800],
    [23, 4e9],
    [24, 3e9],
  ])('%i a clock at %i changes nothing', (number, to) => {
    const at = number === 23 ? 18.5 : 0;
    const calm = site(3, []);
    const result = site(3, [{ at, event: 'clock', device: 3, to }]);
    expect(result.foundedAfter).toBe(calm.foundedAfter);
  });
});

describe('attack', () => {
  it('26 replayed hellos and beacons of a dead founder do not keep a site waiting', () => {
    const result = site(
      3,
      [
        { at: 0, event: 'replay', on: false },
        { at: 60, event: 'power-off', device: 3 },
        { at: 60, event: 'steal', device: 3 },
        { at: 61, event: 'replay', on: true },
      ],
      { lasts: 6_000 },
    );
    expect(generation(result)).toBe(2);
  });
  it('27 forged votes and certificates', () => {
    const result = site(4, [{ at: 2, event: 'steal', device: 1 }]);
    expect(marked(result, 'generation: dossier refused')).toBeGreaterThan(0);
    expect(result.world.clusters.ids).toHaveLength(1);
  });
  it('28 a stolen worker, denied by a roster that one device was given', () => {
    const result = site(4, [
      { at: 40, event: 'steal', device: 1 },
      { at: 60, event: 'roster', device: 2, epoch: 2, deny: [1] },
    ]);
    const epochs = result.world.boards
      .filter((board) => !board.stolen)
      .map((board) => board.state?.site.epoch);
    expect(epochs).toEqual([2, 2, 2]);
  });
  it('29 a stolen server is denied: the others go on, and one of them takes its part', () => {
    const faults = [
      { at: 300, event: 'steal' as const, device: 3 },
      { at: 320, event: 'roster' as const, device: 2, epoch: 2, deny: [3] },
    ];
    const result = site(5, faults, { roles: true, lasts: 2_500 });
    const [id = ''] = result.world.clusters.ids;
    const voters = result.world.clusters.get(id).members.map(({ name }) => name);
    expect(marked(result, 'roles: begins to replace')).toBe(1);
    expect(voters).toHaveLength(3);
    expect(voters, 'the founder, which the thief has').not.toContain('n3');
    expect(generation(result)).toBe(1);
    const heard = result.world.boards.map((board) => board.state?.peers[3]?.heardAt ?? 0);
    expect(Math.max(...heard), 'it is not heard once it is denied').toBeLessThan(400_000);
  });
  it('30 a rolled-back roster is ignored; two under one number are an alarm', () => {
    const result = site(3, [
      { at: 30, event: 'roster', device: 1, epoch: 2 },
      { at: 60, event: 'roster', device: 1, epoch: 1 },
    ]);
    expect(marked(result, 'roster: older ignored')).toBe(1);
    const forked = site(3, [
      { at: 30, event: 'roster', device: 1, epoch: 2 },
      { at: 30, event: 'roster', device: 2, epoch: 2, fork: true },
    ]);
    expect(alarms(forked)).toContain('roster-fork');
  });
  it('30 a roster with other electors is refused', () => {
    const result = site(3, [{ at: 30, event: 'roster', device: 1, epoch: 2, electors: [1] }]);
    expect(alarms(result)).toContain('electors-changed');
  });
});

describe('membership', () => {
  it('40 five joins at once', () => {
    expect(marked(site(6, []), 'phase: joined')).toBe(5);
  });
  it('46 full power cut, any restart order', () => {
    for (const order of [
      [1, 2, 3],
      [3, 2, 1],
      [2, 3, 1],
      [3, 1, 2],
    ]) {
      const back = order.map((device, index) => on(device, 120 + index * 15));
      const result = site(3, [on(1, 0), on(2, 0), on(3, 0), ...all(3, 'power-off', 100), ...back]);
      expect(clusters(result)).toBe(1);
    }
  });
  it('46 a site switched off every night never churns', () => {
    const nights = Array.from({ length: 14 }, (_, day) => [
      ...all(4, 'power-off', 40_000 + day * 86_400),
      ...all(4, 'power-on', 86_400 + day * 86_400),
    ]).flat();
    const result = site(4, [...all(4, 'power-on', 0), ...nights], { lasts: 14 * 86_400 });
    expect(clusters(result)).toBe(1);
    expect(generation(result)).toBe(1);
    for (const churn of ['phase: leave', 'phase: yield', 'generation: opened', 'generation: lost']) {
      expect(marked(result, churn), churn).toBe(0);
    }
  });
  it('47 a sync takes a second', () => {
    const result = site(
      3,
      [1, 2, 3].map((device) => ({ at: 0, event: 'disk-slow' as const, device, sync: 1 })),
    );
    expect(result.foundedAfter).toBeLessThan(20);
  });
  it('49 a process paused for 60 s, at every step', () => {
    for (let at = 9; at < 30; at += 1) site(3, [{ at, event: 'pause', device: 3, for: 60 }]);
  });
});

describe('sizes', () => {
  it.each([1, 2, 3, 7, 16, 33, 64])('a site of %i founds and decides in time', (devices) => {
    const result = site(devices, [], { lasts: 60 });
    expect(result.foundedAfter).toBeLessThan(devices === 1 ? 50 : 12);
    expect(result.decidedAfter).toBeLessThan(90);
  });
});
