// An elector's side of the decision: what it promises, what it accepts, and when it must not vote.
import type { Place } from '../../formats/roster.ts';
import type { Accept, AcceptedAnswer, Incarnations, Prepare, Promised } from './messages.ts';
import { acceptanceStatement } from './signatures.ts';
import type { Site } from './site.ts';
import type { State } from './state.ts';
import { compareBallots, isNear } from './terms.ts';
import type { Turn } from './turn.ts';

/** Whether this device's word counts now: it is an elector, its disk works, and it remembers what it said. */
function votes(state: State): boolean {
  const { site, place, record } = state;
  return (site.slots[place] ?? -1) >= 0 && !state.diskFailed && !state.cloned && !record.amnesiac;
}

/**
 * Whether what is proposed is the sender's own ballot, and its place may be a server at all: with the key of a stolen worker
 * nothing can be decided.
 */
export function mayPropose({ members }: Site, from: Place, { ballot }: Prepare | Accept): boolean {
  return ballot.place === from && members[from]?.eligible === true;
}

/** Learns incarnations where none was known; one that differs is left, it must be recovered from first. */
export function learnIncarnations(turn: Turn, heard: Incarnations): void {
  const { vector } = turn.state.record;
  let learned: Incarnations[number][] | undefined;
  for (let slot = 0; slot < vector.length; slot += 1) {
    const theirs = heard[slot] ?? 0;
    if (vector[slot] !== 0 || theirs === 0) continue;
    learned ??= vector.slice();
    learned[slot] = theirs;
  }
  if (learned !== undefined) turn.learn({ vector: learned });
}

export function answerPrepare(turn: Turn, { ballot, challenge }: Prepare): Promised | undefined {
  const { record } = turn.state;
  if (!votes(turn.state) || !isNear(ballot, record.round)) return undefined;
  const order = compareBallots(ballot, record.promised);
  if (order > 0) {
    turn.note('decision: promised');
    turn.write({ promised: ballot, round: Math.max(record.round, ballot.round) });
  } else if (order < 0) {
    turn.note('decision: refused a promise');
  }
  const { promised, accepted, vector } = turn.state.record;
  return { kind: 'promise', ballot, promised, accepted, vector, echo: challenge };
}

export function answerAccept(turn: Turn, accept: Accept): AcceptedAnswer | undefined {
  const { site, place } = turn.state;
  if (!votes(turn.state) || !isNear(accept.ballot, turn.state.record.round)) return undefined;
  learnIncarnations(turn, accept.promisers);
  const { record } = turn.state;
  const { ballot, value } = accept;
  const answer = { kind: 'accepted', ballot, vector: record.vector, echo: accept.challenge } as const;
  if (compareBallots(ballot, record.promised) < 0 || contradicts(record.vector, accept.promisers)) {
    turn.note('decision: refused an acceptance');
    return { ...answer, signature: undefined, promised: record.promised };
  }
  if (compareBallots(ballot, record.accepted?.ballot) > 0) {
    turn.note('decision: accepted');
    turn.write({
      promised: ballot,
      accepted: { ballot, value },
      round: Math.max(record.round, ballot.round),
    });
  }
  const statement = acceptanceStatement(site, record.generation, ballot, value, place, record.incarnation);
  return { ...answer, signature: turn.signatures.sign(statement), promised: ballot };
}

/** Whether some promiser is known under another incarnation: its promise was lost with its memory. */
function contradicts(vector: Incarnations, promisers: Incarnations): boolean {
  return promisers.some((incarnation, slot) => incarnation !== 0 && vector[slot] !== incarnation);
}
