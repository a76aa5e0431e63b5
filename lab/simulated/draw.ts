// A scenario from a seed. The seed draws the rates of faults too: some sites are calm, some are hell, most have one
// kind of trouble.
import { withDeeds } from './deeds.ts';
import { plots } from './plots.ts';
import { Random } from './random.ts';
import type { Fault, Scenario } from './schedule.ts';

/** How a kind of trouble looks, at a time, to a device. */
type Trouble = (random: Random, at: number, devices: number, lasts: number) => readonly Fault[];

const calmNetwork = { event: 'network', loss: 0, delay: 0.001, duplicates: 0, late: 0 } as const;

const device = (random: Random, devices: number) => 1 + random.below(devices);

const troubles: readonly Trouble[] = [
  (random, at, n) => {
    const one = device(random, n);
    const off = { at, event: 'power-off', device: one } as const;
    return random.chance(0.2)
      ? [off]
      : [off, { at: at + random.between(1, 60), event: 'power-on', device: one }];
  },
  // A port that flaps: a founder's, at every step of its founding, in some seed.
  (random, at, n) => {
    const one = device(random, n);
    const flaps: Fault[] = [];
    for (let time = at, left = 1 + random.below(4); left > 0; left -= 1) {
      flaps.push({ at: time, event: 'port-down', device: one });
      time += random.between(0.2, 20);
      flaps.push({ at: time, event: 'port-up', device: one });
      time += random.between(0.2, 20);
    }
    return flaps;
  },
  (random, at, n, lasts) => {
    const sides: number[][] = [[], [], []];
    for (let one = 1; one <= n; one += 1) sides[random.below(random.chance(0.3) ? 3 : 2)]?.push(one);
    const partition = { at, event: 'partition', sides } as const;
    return random.chance(0.3)
      ? [partition]
      : [partition, { at: at + random.between(5, lasts / 2), event: 'join-networks' }];
  },
  (random, at, n) => [{ at, event: 'one-way', device: device(random, n), to: device(random, n) }],
  (random, at) => [
    {
      at,
      event: 'network',
      loss: random.pick([0, 0.1, 0.3, 0.8]),
      delay: random.pick([0.001, 0.05, 0.5]),
      duplicates: random.pick([0, 0.2, 1]),
      late: random.pick([0, 0.1, 0.5]),
    },
    { ...calmNetwork, at: at + random.between(5, 60), loss: random.pick([0, 0.05]) },
  ],
  (random, at, n) => [{ at, event: 'pause', device: device(random, n), for: random.pick([1, 15, 60, 200]) }],
  (random, at, n) => {
    const one = device(random, n);
    return [
      { at, event: random.pick(['disk-full', 'disk-read-only']), device: one },
      { at: at + random.between(5, 90), event: 'disk-works', device: one },
    ];
  },
  (random, at, n) => [{ at, event: 'disk-slow', device: device(random, n), sync: random.pick([0.05, 1]) }],
  (random, at, n) => [{ at, event: 'agent-restart', device: device(random, n) }],
  (random, at, n) => [{ at, event: 'flash', device: device(random, n) }],
  (random, at, n) => [{ at, event: 'deploy', device: device(random, n) }],
  (random, at, n) => [
    { at, event: 'clock', device: device(random, n), to: random.pick([0, 2_177_452_800, 4e9]) },
  ],
  (_, at) => [
    { at: at / 4, event: 'replay', on: false },
    { at, event: 'replay', on: true },
  ],
  // Two halves that form apart, are used, and meet.
  (random, _, n, lasts) => {
    const all = Array.from({ length: n }, (__, index) => index + 1);
    const some = all.filter(() => random.chance(0.5));
    const used = random.shuffled(all).slice(0, random.below(3));
    return [
      {
        at: random.between(0, 10),
        event: 'partition',
        sides: [all.filter((one) => !some.includes(one)), some],
      },
      ...used.map((one) => ({ at: random.between(20, lasts), event: 'deploy', device: one }) as const),
      { at: random.between(30, lasts), event: 'join-networks' },
    ];
  },
  // A site in use, and one device flashed again: the founder, in some seed.
  (random, at, n, lasts) => {
    const used = random.between(25, lasts);
    return [
      { at: used, event: 'deploy', device: device(random, n) },
      { at: used + random.between(1, 120), event: 'flash', device: device(random, n) },
      ...(random.chance(0.5) ? [{ at, event: 'deploy', device: device(random, n) } as const] : []),
    ];
  },
  // Rare: each needs a person afterwards, and hides what else could be found.
  (random, at, n) => (random.chance(0.1) ? [{ at, event: 'clone', device: device(random, n) }] : []),
  (random, at, n) => {
    if (!random.chance(0.15)) return [];
    const theft = { at, event: 'steal', device: device(random, n), silent: false } as const;
    return random.chance(0.5)
      ? [theft]
      : [{ at: at / 2, event: 'replay', on: false }, theft, { at: at + 1, event: 'replay', on: true }];
  },
  (random, at, n) => (random.chance(0.15) ? [{ at, event: 'hang', device: device(random, n) }] : []),
  (random, at, n) => {
    const some = Array.from({ length: n }, (_, index) => index + 1).filter(() => random.chance(0.5));
    const mistake = random.chance(0.5) && some.length > 0 ? { electors: some.slice(0, 7) } : {};
    const fork = random.chance(0.1);
    const holders = random
      .shuffled(Array.from({ length: n }, (_, index) => index + 1))
      .slice(0, 1 + random.below(n));
    return holders.map(
      (one) => ({ at, event: 'roster', device: one, epoch: 2, deny: [], fork, ...mistake }) as const,
    );
  },
  // The whole site loses power, and comes back in any order.
  (random, at, n) => {
    const all = Array.from({ length: n }, (_, index) => index + 1);
    return [
      ...all.map((one) => ({ at, event: 'power-off', device: one }) as const),
      ...all.map((one) => ({ at: at + random.between(1, 40), event: 'power-on', device: one }) as const),
    ];
  },
];

export function draw(seed: number, mostDevices = 7): Scenario {
  return withDeeds(drawSite(seed, mostDevices));
}

function drawSite(seed: number, mostDevices: number): Scenario {
  const random = new Random(seed);
  const scenario = drawFaults(random, seed, mostDevices);
  const { devices } = scenario;
  if (!random.chance(0.04)) return scenario;
  const plot = random.pick(plots)(random, devices);
  const schedule = plot.schedule.toSorted((a, b) => a.at - b.at);
  return {
    ...scenario,
    ...plot,
    enrolment: 'stamped',
    places: undefined,
    roles: false,
    workers: [],
    schedule,
  };
}

function drawFaults(random: Random, seed: number, mostDevices: number): Scenario {
  const devices = 1 + random.below(mostDevices);
  const lasts = random.chance(0.015) ? 7_500 : random.pick([45, 90, 180]);
  const schedule: Fault[] = [...powerOn(random, devices, lasts)];
  const kinds = random.shuffled(troubles).slice(0, random.pick([0, 1, 1, 2, 3, troubles.length]));
  const count = kinds.length === 0 ? 0 : 1 + random.below(random.pick([2, 4, 9]));
  for (let left = count; left > 0; left -= 1) {
    // Early trouble is worse: that is when decisions are made.
    const at = lasts * random.unit() ** random.pick([1, 2, 4]);
    schedule.push(...random.pick(kinds)(random, at, devices, lasts));
  }
  const workers = Array.from({ length: devices }, (_, index) => index + 1).filter(() => random.chance(0.1));
  if (workers.length === devices) workers.pop();
  const policy = random.pick([
    'first-online',
    'first-online',
    'first-online',
    'first-online',
    'majority',
    'designated',
  ]);
  const eligible = Array.from({ length: devices }, (_, index) => index + 1).filter(
    (one) => !workers.includes(one),
  );
  const refound = random.chance(0.1);
  const spanningTree = random.chance(0.15);
  const claimed = policy !== 'designated' && random.chance(0.15);
  const roles = random.chance(0.025);
  if (roles) schedule.push(...serversInTrouble(random, devices, lasts));
  return {
    version: 1,
    seed,
    devices,
    electors: undefined,
    workers,
    roles,
    policy: policy === 'designated' ? `designated: ${random.pick(eligible)}` : policy,
    refound,
    enrolment: claimed ? 'claimed' : 'stamped',
    places: claimed ? devices + random.pick([0, 0, 1, 3]) : undefined,
    spanningTree,
    heal: true,
    lasts: roles ? Math.max(lasts, 2_000) : lasts,
    schedule: schedule.sort((a, b) => a.at - b.at),
  };
}

/** Long enough for servers to be lost, replaced, and there again. */
function serversInTrouble(random: Random, devices: number, lasts: number): readonly Fault[] {
  const faults: Fault[] = [];
  for (let left = random.below(3); left > 0; left -= 1)
    faults.push(...random.pick(troubles)(random, random.between(lasts, 1_800), devices, 600));
  for (let left = random.below(3); left > 0; left -= 1) {
    const off = random.between(60, 900);
    const one = device(random, devices);
    faults.push({ at: off, event: 'power-off', device: one });
    if (random.chance(0.3))
      faults.push({ at: off + random.between(300, 1_000), event: 'power-on', device: one });
    if (random.chance(0.2)) faults.push({ at: off + 1, event: 'flash', device: device(random, devices) });
  }
  return faults;
}

/** A calm site of any size, switched on within two seconds. */
export function largeSite(devices: number, seed = 1, enrolment: Scenario['enrolment'] = 'stamped'): Scenario {
  const random = new Random(seed);
  const schedule = Array.from({ length: devices }, (_, index): Fault => {
    return { at: random.between(0, 2), event: 'power-on', device: index + 1 };
  });
  return {
    version: 1,
    seed,
    devices,
    electors: undefined,
    workers: [],
    policy: 'first-online',
    refound: false,
    roles: false,
    enrolment,
    places: undefined,
    spanningTree: false,
    heal: true,
    lasts: 60,
    schedule,
  };
}

/** How a site comes alive: all at once, one by one, or a part of it much later. */
function powerOn(random: Random, devices: number, lasts: number): readonly Fault[] {
  const within = random.pick([0, 0.5, 2, 20, lasts]);
  return Array.from({ length: devices }, (_, index): Fault => {
    const at = random.chance(0.05) ? random.between(0, lasts) : random.between(0, within);
    return { at, event: 'power-on', device: index + 1 };
  });
}
