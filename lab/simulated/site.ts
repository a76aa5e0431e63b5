// The roster of a simulated site. Its keys are the model's.
import { createHash } from 'node:crypto';
import { type Site, siteOf } from '../../firstboot/protocol/site.ts';
import { mostElectors, place, type Roster, rosterHash } from '../../formats/roster.ts';
import type { Scenario } from './schedule.ts';
import { keyOf } from './seals.ts';

interface Edition {
  readonly epoch: number;
  readonly deny: readonly number[];
  readonly electors: readonly number[] | undefined;
  /** Another roster under the same number. */
  readonly fork: boolean;
}

const first: Edition = { epoch: 1, deny: [], electors: undefined, fork: false };
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const editions = new Map<string, Site>();

/** The site that a scenario's devices know, in one edition of its roster. Kept: thousands of seeds ask for the same. */
export function siteFor(scenario: Scenario, edition: Edition = first): Site {
  const { devices, workers, policy, refound, enrolment, places } = scenario;
  const kind = [devices, workers, policy, refound, enrolment, places, scenario.electors];
  const previous = previousOf(scenario, edition);
  const named = JSON.stringify([...kind, edition, previous]);
  let site = editions.get(named);
  if (site === undefined) {
    const roster = rosterFor(scenario, edition, previous);
    site = siteOf({ roster, hash: rosterHash(roster) }, digest);
    editions.set(named, site);
  }
  return site;
}

/** Hash of the roster before: of those that the schedule gives out under its number, the one that is no mistake. */
function previousOf(scenario: Scenario, { epoch }: Edition): string | null {
  if (epoch === 1) return null;
  if (epoch === 2) return siteFor(scenario).hash;
  for (const fault of scenario.schedule) {
    if (fault.event !== 'roster' || fault.epoch !== epoch - 1) continue;
    const { deny, electors, fork } = fault;
    if (electors === undefined && !fork) return siteFor(scenario, { ...first, epoch: epoch - 1, deny }).hash;
  }
  return digest(`nobody has epoch ${epoch - 1}`);
}

function rosterFor(
  scenario: Scenario,
  { epoch, deny, electors, fork }: Edition,
  previous: string | null,
): Roster {
  const { workers, policy, refound, enrolment } = scenario;
  const claimed = enrolment === 'claimed';
  const length = claimed ? (scenario.places ?? scenario.devices) : scenario.devices;
  const indexes = Array.from({ length }, (_, index) => index + 1);
  const deciding = electors ?? scenario.electors ?? indexes.slice(0, mostElectors);
  return {
    site: 'simulated',
    epoch,
    previous,
    enrolment,
    policy: policy.replace(/^designated: (\d+)$/, 'designated: n$1'),
    onFounderLoss: refound ? 'refound' : 'alarm',
    subnet: fork ? '198.18.1.0/24' : '198.18.0.0/24',
    places: indexes.map((index) => ({
      place: place(index),
      name: `n${index}`,
      key: claimed ? undefined : keyOf(index),
      server: !workers.includes(index),
      class: index % 3,
      domain: index % 2 === 0 ? 'even' : 'odd',
      elector: deciding.includes(index),
    })),
    denied: deny.map(keyOf),
  };
}
