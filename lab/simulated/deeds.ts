// What a person does at a drawn site: says `resolve`, ends enrolment, gives a place to another board, denies one. Random numbers of
// their own: without deeds a seed is the site it was.
import { Random } from './random.ts';
import type { Fault, Scenario } from './schedule.ts';

/** Tried at every board: only where the table was opened does it count. */
type Deed = (random: Random, scenario: Scenario) => readonly Fault[];

const everybody = ({ devices }: Scenario) => Array.from({ length: devices }, (_, index) => index + 1);

/** At one board, or at all of them, as somebody does who was called. */
const resolve: Deed = (random, scenario) => {
  const at = random.between(5, scenario.lasts + 60);
  const all = everybody(scenario);
  const where = random.chance(0.5) ? all : [random.pick(all)];
  return where.map((device) => ({ at: at + random.between(0, 10), event: 'resolve', device }));
};

const closeEnrolment: Deed = (random, scenario) => {
  const at = random.between(10, scenario.lasts);
  return everybody(scenario).map((device) => ({ at, event: 'close-enrolment', device }));
};

/** A board that was flashed again, or comes late, gets a place; sometimes one that somebody lives at. */
const replace: Deed = (random, scenario) => {
  const all = everybody(scenario);
  const by = random.pick(all);
  const place = 1 + random.below(scenario.places ?? scenario.devices);
  const flashed = random.between(15, scenario.lasts);
  const at = flashed + random.between(70, 200);
  const flash = { at: flashed, event: 'flash', device: by } as const;
  return [
    ...(random.chance(0.7) ? [flash] : []),
    ...all.map((device) => ({ at, event: 'replace', device, place, by }) as const),
  ];
};

/** A newer roster denies a board: the stolen one, where one is. Given to a single device, as a person does. */
function deny(scenario: Scenario): readonly Fault[] {
  const random = new Random(scenario.seed + 2 ** 41);
  const { enrolment, schedule, lasts, devices } = scenario;
  const theft = schedule.find(({ event }) => event === 'steal');
  const rostered = schedule.some(({ event }) => event === 'roster');
  if (enrolment === 'claimed' || rostered || !random.chance(theft === undefined ? 0.01 : 0.4)) return [];
  const at = theft === undefined ? lasts * random.unit() : theft.at + random.between(1, 120);
  const denied = theft?.event === 'steal' ? theft.device : 1 + random.below(devices);
  const device = 1 + random.below(devices);
  return [{ at, event: 'roster', device, epoch: 2, deny: [denied], fork: false }];
}

/** The scenario with what people do, in some of them: where they are called, and in claimed sites. */
export function withDeeds(scenario: Scenario): Scenario {
  const schedule = [...scenario.schedule, ...said(scenario), ...deny(scenario)];
  if (schedule.length === scenario.schedule.length) return scenario;
  return { ...scenario, schedule: schedule.toSorted((a, b) => a.at - b.at) };
}

function said(scenario: Scenario): readonly Fault[] {
  const random = new Random(scenario.seed + 2 ** 40);
  const claimed = scenario.enrolment === 'claimed';
  const called = scenario.schedule.some(({ event }) => ['deploy', 'clone', 'flash'].includes(event));
  if (!random.chance(claimed ? 0.2 : called ? 0.15 : 0.01)) return [];
  const kinds = claimed ? [resolve, closeEnrolment, replace, replace] : [resolve];
  return Array.from({ length: 1 + random.below(2) }, () => random.pick(kinds)(random, scenario)).flat();
}
