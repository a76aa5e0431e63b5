// The first state of an agent: from what its disk holds, or from nothing.
import type { Start } from './events.ts';
import { startAgain, withoutMembership } from './membership.ts';
import { freshRecord } from './record.ts';
import type { Signatures } from './signatures.ts';
import type { State } from './state.ts';
import type { Challenge } from './terms.ts';
import { watchEvery } from './timings.ts';
import { Turn } from './turn.ts';

const never = Number.POSITIVE_INFINITY;

export function begin(event: Start, signatures: Signatures): Turn {
  const { site, place, now, random } = event;
  const fresh = event.record === undefined;
  const record = event.record ?? freshRecord(site, site.slots[place] ?? -1, event.incarnation);
  const state: State = {
    site,
    place,
    boot: event.boot,
    capable: event.capable,
    record,
    asked: event.record,
    durable: event.record,
    diskFailed: false,
    store: event.store,
    phase: 'listening',
    phaseSince: now,
    carrierAt: undefined,
    sequence: 0,
    challenge: random as Challenge,
    challengeAt: now,
    formerChallenge: random as Challenge,
    peers: site.members.map(() => undefined),
    alarms: [],
    cloned: false,
    census: { servers: 1, members: 1, data: false },
    proposal: undefined,
    failedBallots: 0,
    recovery: undefined,
    losses: [],
    serverlessSince: now,
    aloneSince: now,
    joinAgainAt: now,
    fetching: undefined,
    helloAt: now + (random % 200),
    lastHello: Number.NEGATIVE_INFINITY,
    echoFrom: 0,
    settleAt: never,
    proposeAt: now,
    watchAt: now + watchEvery,
    recoverAt: record.amnesiac ? now : never,
    diskRetryAt: never,
  };
  const turn = new Turn(state, now, random, signatures);
  if (fresh) turn.write({});
  resume(turn);
  return turn;
}

/**
 * Takes the phase that follows from the record, after a start or after a write that was refused. A store that is gone
 * was set aside just before its end was written down.
 */
export function resume(turn: Turn): void {
  const { state, now } = turn;
  const { membership } = state.record;
  state.phaseSince = now;
  state.phase = 'listening';
  if (membership === undefined) return;
  const { role, ready, identity } = membership;
  if (ready && state.store !== identity.cluster) {
    turn.note('membership: retired while away');
    turn.write(withoutMembership(membership));
    return;
  }
  if (role === 'agent') state.phase = ready ? 'member' : 'joining';
  else state.phase = ready ? 'serving' : 'founding';
  if (role !== 'agent' || ready) startAgain(turn, membership); // an unfinished join waits until it hears a server
}
