// Stories that bad luck alone tells too rarely: each leads a site to where one rule is all that stands between it and a
// broken promise. Drawn in a few of a hundred seeds, with everything else at random.
import type { Random } from './random.ts';
import type { Fault, Scenario } from './schedule.ts';

type Plot = (random: Random, devices: number) => Partial<Scenario> & { readonly schedule: readonly Fault[] };

const powerOn = (random: Random, devices: number): Fault[] =>
  Array.from({ length: devices }, (_, index) => ({
    at: random.between(0, 0.5),
    event: 'power-on',
    device: index + 1,
  }));

/** First in rank: the lowest hardware class (site.ts). */
const firstOf = (devices: number) => (devices >= 3 ? 3 : 1);

/** Proposers that do not hear of each other in time, and whose words then come late and in any order. */
const duel: Plot = (random, devices) => {
  const deaf = random.between(10.5, 14);
  const quiet = { event: 'network', loss: 0.97, delay: 0.001, duplicates: 0, late: 0 } as const;
  const bad = { event: 'network', loss: 0, duplicates: random.pick([0, 0.5]) } as const;
  return {
    policy: random.pick(['majority', 'majority', 'first-online']),
    schedule: [
      ...powerOn(random, devices),
      { ...quiet, at: 0 },
      { ...bad, at: deaf, delay: random.pick([0.2, 0.5, 1]), late: random.pick([0.1, 0.5]) },
    ],
    lasts: 60,
    spanningTree: false,
  };
};

/** The founder is stolen, and a stranger says for ever what it once said. */
const voiceOfTheDead: Plot = (random, devices) => {
  const theft = random.between(30, 90);
  const restarted = Array.from({ length: random.below(devices) }, (_, index): Fault => {
    return { at: theft + random.between(20, 60), event: 'agent-restart', device: index + 1 };
  });
  return {
    policy: 'first-online',
    schedule: [
      ...powerOn(random, devices),
      { at: 0, event: 'replay', on: false },
      { at: theft, event: 'steal', device: firstOf(devices), silent: random.chance(0.8) },
      { at: theft + random.between(0, 30), event: 'replay', on: true },
      ...restarted,
    ],
    lasts: 150,
    spanningTree: false,
  };
};

/** One that founded apart gave its cluster up; then the only server of the site's cluster is gone for good. */
const founderOfOld: Plot = (random) => {
  const devices = random.pick([4, 5, 6, 7]);
  const apart = random.pick(devices >= 6 ? [1, 6] : [1]);
  const others = Array.from({ length: devices }, (_, index) => index + 1).filter((one) => one !== apart);
  const meet = random.between(70, 100);
  return {
    policy: 'first-online',
    schedule: [
      ...powerOn(random, devices),
      { at: 0, event: 'partition', sides: [others, [apart]] },
      { at: meet, event: 'join-networks' },
      { at: meet + random.between(60, 90), event: 'steal', device: firstOf(devices), silent: true },
    ],
    devices,
    lasts: 200,
    spanningTree: false,
  };
};

export const plots: readonly Plot[] = [duel, duel, voiceOfTheDead, founderOfOld];
