// Amnesia: an elector that had another incarnation does not vote before enough others told it what it may have said.
//
// Why it is safe: a quorum that the lost memory was part of has quorum − 1 other members, and electors − quorum + 1
// answers meet them in at least one. That one either voted before it answered, and its answer carries the vote; or
// it votes later, with a vector that names the new incarnation, and the lost vote is not counted beside its own. What was
// promised in between, before the loss was noticed, is said in the question: who answers votes in no such ballot any more.
import type { Place } from '../../formats/roster.ts';
import { learnIncarnations } from './acceptor.ts';
import { twoBoardsAt } from './discovery.ts';
import type { Message, Recover, Recovered } from './messages.ts';
import { recoveryQuorum } from './site.ts';
import type { Recovery } from './state.ts';
import {
  type Accepted,
  type Ballot,
  type Challenge,
  compareBallots,
  type Incarnation,
  isNear,
  lastRound,
  never,
} from './terms.ts';
import { recoverEvery, recoveryOverdue } from './timings.ts';
import type { Turn } from './turn.ts';

/** Former incarnations that are kept of each kind: a record has its size. */
const mostKept = 32;

/** Compares what a proven message says of incarnations with what this device knows. */
export function compareIncarnations(turn: Turn, message: Message): void {
  const { state } = turn;
  const { site, record } = state;
  const theirs = site.slots[message.from] ?? -1;
  if (theirs >= 0 && record.vector[theirs] === 0) {
    const vector = record.vector.slice();
    vector[theirs] = message.incarnation;
    turn.learn({ vector });
  } else if (theirs >= 0 && record.vector[theirs] !== message.incarnation) {
    if (record.superseded.includes(message.incarnation)) {
      twoBoardsAt(turn, message.from);
    } else {
      turn.helloWithin(200); // our hello's vector tells it that it had another
    }
  }
  const own = site.slots[state.place] ?? -1;
  // Only electors': a stolen worker could invent one former self after the other.
  const vector = theirs >= 0 && 'vector' in message.body ? message.body.vector : undefined;
  const known = vector?.[own] ?? 0;
  if (own < 0 || known === 0 || known === record.incarnation) return;
  if (!record.recoveredFrom.includes(known)) noticeAmnesia(turn, known);
  // Recovered, but this one does not know yet: its votes and ours would not count together.
  else if (!record.amnesiac) ask(turn, message.from, turn.random as Challenge);
}

function ask(turn: Turn, to: Place | 0, challenge: Challenge): void {
  turn.say(to, { kind: 'recover', promised: turn.state.record.promised, challenge });
}

function noticeAmnesia(turn: Turn, known: Incarnation): void {
  const { state } = turn;
  const { record } = state;
  turn.note('amnesia: noticed');
  turn.write({ amnesiac: true, recoveredFrom: [...record.recoveredFrom, known].slice(-mostKept) });
  state.proposal = undefined;
  turn.due('recover', turn.now);
}

/** Called when `recoverAt` is due. */
export function askToRecover(turn: Turn): void {
  const { state } = turn;
  if (!state.record.amnesiac) {
    turn.due('recover', never);
    state.recovery = undefined;
    return;
  }
  state.recovery ??= { since: turn.now, challenge: turn.random as Challenge, answers: [] };
  if (turn.now - state.recovery.since >= recoveryOverdue)
    turn.alarm('memory-lost', 'too few others remember');
  turn.due('recover', turn.now + turn.around(recoverEvery));
  ask(turn, 0, state.recovery.challenge);
}

/**
 * From here on the new incarnation is the place's; its former votes count no more beside this device's. What it promised
 * before it noticed is worth nothing: this device promises and accepts nothing any more that may rest on it.
 */
export function answerRecover(turn: Turn, message: Message, { promised: theirs, challenge }: Recover): void {
  const { state } = turn;
  const { site, record } = state;
  const slot = site.slots[message.from] ?? -1;
  if (slot < 0 || (site.slots[state.place] ?? -1) < 0) return;
  if (record.amnesiac || state.diskFailed || message.generation !== record.generation) return;
  if (!isNear(theirs, record.round) || theirs?.round === lastRound) return;
  const known = record.vector[slot] ?? 0;
  if (record.superseded.includes(message.incarnation)) {
    twoBoardsAt(turn, message.from);
    return;
  }
  if (known !== message.incarnation) {
    turn.note('amnesia: answered');
    const vector: (Incarnation | 0)[] = record.vector.slice();
    vector[slot] = message.incarnation;
    turn.write({
      vector,
      superseded: known === 0 ? record.superseded : [...record.superseded, known].slice(-mostKept),
    });
  }
  if (theirs !== undefined && compareBallots(theirs, record.promised) >= 0) {
    const { from: place, incarnation } = message;
    const beyond: Ballot = { round: theirs.round + 1, place, incarnation };
    turn.write({ promised: beyond, round: Math.max(record.round, beyond.round) });
    state.proposal = undefined; // begun anew when its next word was due
  }
  const { promised, accepted } = turn.state.record;
  turn.say(message.from, {
    kind: 'recovered',
    promised,
    accepted,
    vector: turn.state.record.vector,
    echo: challenge,
  });
}

export function onRecovered(turn: Turn, message: Message, body: Recovered): void {
  const { state } = turn;
  const { site, record, recovery } = state;
  if (!record.amnesiac || recovery === undefined || body.echo !== recovery.challenge) return;
  if ((site.slots[message.from] ?? -1) < 0 || message.generation !== record.generation) return;
  if (!isNear(body.promised, record.round) || !isNear(body.accepted?.ballot, record.round)) return;
  const answer = { place: message.from, promised: body.promised, accepted: body.accepted };
  const answers = [...recovery.answers.filter((other) => other.place !== message.from), answer];
  state.recovery = { ...recovery, answers };
  learnIncarnations(turn, body.vector);
  if (answers.length < recoveryQuorum(site)) return;
  const { promised, accepted } = highest(answers, record.promised, record.accepted);
  turn.note('amnesia: recovered');
  turn.write({ amnesiac: false, promised, accepted, round: Math.max(record.round, promised?.round ?? 0) });
  state.recovery = undefined;
  turn.due('recover', never);
}

function highest(
  answers: Recovery['answers'],
  promised: Ballot | undefined,
  accepted: Accepted | undefined,
): { promised: Ballot | undefined; accepted: Accepted | undefined } {
  for (const answer of answers) {
    if (compareBallots(answer.promised, promised) > 0) promised = answer.promised;
    if (compareBallots(answer.accepted?.ballot, accepted?.ballot) > 0) accepted = answer.accepted;
  }
  return { promised, accepted };
}
