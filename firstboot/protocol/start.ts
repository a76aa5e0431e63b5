// The first state of an agent: from what its disk holds, or from nothing.

import { sit } from './enrolment.ts';
import type { Start } from './events.ts';
import { startAgain, withoutMembership } from './membership.ts';
import { freshRecord } from './record.ts';
import type { Signatures } from './signatures.ts';
import { nowhere } from './site.ts';
import type { State } from './state.ts';
import { type Challenge, never } from './terms.ts';
import { watchEvery } from './timings.ts';
import { Turn } from './turn.ts';

export function begin(event: Start, signatures: Signatures): Turn {
  const { site, now, random } = event;
  const place = event.board === undefined ? event.place : nowhere;
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
    carrierAt: undefined,
    sequence: 0,
    challenge: { newest: random as Challenge, at: now, former: random as Challenge },
    peers: site.members.map(() => undefined),
    alarms: [],
    cloned: false,
    doubles: [],
    census: { servers: 1, members: 1, data: false },
    proposal: undefined,
    failedBallots: 0,
    recovery: undefined,
    losses: [],
    fetching: undefined,
    enrolment:
      event.board === undefined
        ? undefined
        : {
            ...event.board,
            claimants: [],
            tables: [],
            owed: [],
            wants: undefined,
            asks: false,
            tells: false,
          },
    echoFrom: 0,
    since: { phase: now, hello: -never, join: -never, serverless: now, alone: now },
    due: {
      hello: now + (random % 200),
      settle: never,
      propose: now,
      watch: now + watchEvery,
      recover: record.amnesiac ? now : never,
      disk: never,
    },
  };
  const turn = new Turn(state, now, random, signatures);
  sit(turn.state);
  if (turn.state.site.members[turn.state.place]?.denied === true)
    turn.alarm('denied', `epoch ${turn.state.site.epoch}`);
  if (fresh) turn.write({});
  resume(turn);
  return turn;
}

/**
 * Takes the phase that follows from the record, after a start or after a write that was refused. A store that is gone
 * was set aside just before its end was written down.
 */
export function resume(turn: Turn): void {
  const { state } = turn;
  const { membership } = state.record;
  turn.since('phase');
  state.phase = state.place === nowhere ? 'enrolling' : 'listening';
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
