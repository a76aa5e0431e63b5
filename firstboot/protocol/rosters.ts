// Which roster a device obeys: the newest that the site's key signed, and never another set of electors.
import { seated } from './claims.ts';
import { mayFetch, onFetched } from './fetches.ts';
import type { Hello, Message } from './messages.ts';
import type { Site } from './site.ts';
import type { Turn } from './turn.ts';

/** Asks a peer that has a newer one; says so where two differ under one number. */
export function followRoster(turn: Turn, message: Message, hello: Hello): void {
  const { state } = turn;
  const { site } = state;
  if (hello.epoch > site.epoch) {
    if (mayFetch(turn, message.from)) turn.act({ kind: 'fetchRoster', from: message.from });
  } else if (hello.epoch < site.epoch) {
    turn.helloWithin(1000);
  } else if (hello.roster !== site.hash.slice(0, 16)) {
    turn.alarm('roster-fork', `place ${message.from}, epoch ${site.epoch}`);
  }
}

/** Takes a verified roster: from a peer, a file or the stamp. */
export function adoptRoster(turn: Turn, site: Site): void {
  const { state } = turn;
  if (site.name !== state.site.name) return;
  const taken = mayTake(turn, site);
  onFetched(turn, taken);
  if (!taken) return;
  turn.note('roster: adopted');
  turn.write({ epoch: site.epoch, roster: site.hash });
  state.site = site.claimed ? seated(site, state.record.claim?.held?.table) : site;
  state.peers = site.members.map((_, place) => state.peers[place]);
  if (state.site.members[state.place]?.denied) turn.alarm('denied', `epoch ${site.epoch}`);
  turn.helloWithin(1000);
}

/**
 * A newer one, that follows the one that is held where it says so: epochs may be skipped, and then the signature is what
 * counts. The electors are fixed for the site's life: promise 1 rests on it.
 */
function mayTake(turn: Turn, { epoch, hash, previous, rosterElectors }: Site): boolean {
  const current = turn.state.site;
  if (epoch < current.epoch || hash === current.hash) turn.note('roster: older ignored');
  else if (epoch === current.epoch) turn.alarm('roster-fork', `epoch ${epoch}`);
  else if (epoch === current.epoch + 1 && previous !== current.hash)
    turn.alarm('roster-fork', `epoch ${epoch} does not follow the one of this device`);
  else if (rosterElectors !== current.rosterElectors) turn.alarm('electors-changed', `epoch ${epoch}`);
  else return true;
  return false;
}
