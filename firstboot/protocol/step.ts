// The protocol as one function: a state and an event give the next state and what is to be done.
import { answerAccept, answerPrepare, mayPropose } from './acceptor.ts';
import { hear } from './discovery.ts';
import { onClaim, onCloseEnrolment, onReplace, onTable } from './enrolment.ts';
import type { Effect, Event, Start } from './events.ts';
import { considerElection, considerFounding, onIdentity } from './founding.ts';
import { followIfAhead, onDossier, onLoss, watchForLoss } from './generations.ts';
import { askIfServerless, sayHello } from './hello.ts';
import {
  considerJoining,
  considerLeaving,
  lookAgain,
  onCensus,
  onEmptiness,
  onGone,
  onK3sReady,
  onRetired,
  onRole,
  rememberCluster,
} from './membership.ts';
import type { Message } from './messages.ts';
import { onAccepted, onPromise, propose, proposeSoon } from './proposer.ts';
import { answerRecover, askToRecover, compareIncarnations, onRecovered } from './recovery.ts';
import { adoptRoster, followRoster } from './rosters.ts';
import type { Signatures } from './signatures.ts';
import { begin } from './start.ts';
import type { State } from './state.ts';
import { diskFailed, persisted, retryDisk } from './storage.ts';
import { considerTables, followTable, onOffer } from './tables.ts';
import { never } from './terms.ts';
import { watchEvery } from './timings.ts';
import { Turn } from './turn.ts';

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** The first step of an agent that has just started. */
export function start(event: Start, signatures: Signatures): Step {
  const turn = begin(event, signatures);
  return turn.end();
}

/** Every later step. Changes nothing it is given; the same arguments give the same result. */
export function step(state: State, event: Event, signatures: Signatures): Step {
  const turn = new Turn(state, event.now, event.random, signatures);
  if (event.kind === 'message') onMessage(turn, event.message);
  else if (event.kind !== 'tick') onLocal(turn, event);
  if (event.kind !== 'message') onTime(turn);
  return turn.end();
}

function onMessage(turn: Turn, message: Message): void {
  if (message.body.kind === 'claim' || message.body.kind === 'offer') {
    if (message.site !== turn.state.site.name) return;
    if (message.body.kind === 'claim') onClaim(turn, message, message.body);
    else onOffer(turn, message, message.body);
    return;
  }
  const before = turn.state.peers[message.from]?.boot;
  if (!hear(turn, message)) return;
  const { state } = turn;
  // One more elector may be just the one that a quorum lacked.
  if (before !== message.boot && (state.site.slots[message.from] ?? -1) >= 0) proposeSoon(turn);
  compareIncarnations(turn, message);
  followIfAhead(turn, message);
  const { body, from } = message;
  if (body.kind === 'hello') {
    followRoster(turn, message, body);
    if (state.enrolment !== undefined) {
      followTable(turn, message, body);
      if (state.due.propose === never) proposeSoon(turn); // one more is bound to the table
    }
    rememberCluster(turn, body);
    onGone(turn, message, body);
    if (state.phase === 'listening' && body.cluster?.ready === true) considerJoining(turn);
    return;
  }
  if (message.to !== 0 && message.to !== state.place) return;
  if (body.kind === 'loss') {
    onLoss(turn, message, body);
    return;
  }
  if (message.generation !== state.record.generation) return;
  if (body.kind === 'prepare' || body.kind === 'accept') {
    if (!mayPropose(state.site, from, body)) return;
    if (state.record.decided !== undefined) {
      turn.helloWithin(0);
      return;
    } // the hello says so; the rest is fetched
    const answer = body.kind === 'prepare' ? answerPrepare(turn, body) : answerAccept(turn, body);
    if (answer !== undefined) turn.say(from, answer);
  } else if (body.kind === 'promise') onPromise(turn, message, body);
  else if (body.kind === 'accepted') onAccepted(turn, message, body);
  else if (body.kind === 'recover') answerRecover(turn, message, body);
  else onRecovered(turn, message, body);
}

function onLocal(turn: Turn, event: Exclude<Event, { kind: 'message' | 'tick' }>): void {
  const { state, now } = turn;
  switch (event.kind) {
    case 'carrier':
      state.carrierAt = event.up ? (state.carrierAt ?? now) : undefined;
      if (event.up) turn.helloWithin(200);
      return;
    case 'persisted':
      persisted(turn, event.record);
      return;
    case 'diskFailed':
      diskFailed(turn);
      return;
    case 'identity':
      onIdentity(turn, event.identity);
      return;
    case 'k3sReady':
      onK3sReady(turn, event.cluster);
      return;
    case 'joinRefused':
      turn.alarm('join-refused', event.why);
      return;
    case 'census':
      onCensus(turn, { servers: event.servers, members: event.members, data: event.data });
      return;
    case 'role':
      onRole(turn, event.role);
      return;
    case 'emptiness':
      onEmptiness(turn, event.empty);
      return;
    case 'retired':
      onRetired(turn, event.cluster);
      return;
    case 'dossier':
      onDossier(turn, event.dossier);
      return;
    case 'roster':
      adoptRoster(turn, event.site);
      return;
    case 'table':
      onTable(turn, event.signed);
      return;
    case 'replace':
      onReplace(turn, event.place, event.key);
      return;
    case 'closeEnrolment':
      onCloseEnrolment(turn);
      return;
    case 'resolve':
      onResolve(turn);
      return;
  }
}

/**
 * A person looked: what was held is let go, what was forgotten is accepted as forgotten. One that holds beside a cluster of
 * its own looks again, and holds again with an alarm unless it is empty now.
 */
function onResolve(turn: Turn): void {
  const { state } = turn;
  const { membership, amnesiac } = state.record;
  const holds = state.phase === 'holding';
  if (holds && membership?.ready === false) return; // nothing is known yet of what it holds
  state.alarms = [];
  state.cloned = false;
  state.doubles = [];
  if (amnesiac) turn.write({ amnesiac: false });
  if (!holds) return;
  if (membership === undefined) turn.enter('released');
  else lookAgain(turn, membership);
  turn.settleAnew();
}

/** All that is due by now. */
function onTime(turn: Turn): void {
  const { state, now } = turn;
  if (now >= state.due.disk) retryDisk(turn);
  if (now >= state.due.watch) {
    turn.due('watch', now + watchEvery);
    watchForLoss(turn);
    considerLeaving(turn);
    askIfServerless(turn);
  }
  if (now >= state.due.settle) turn.due('settle', never);
  if (state.enrolment !== undefined) considerTables(turn);
  if (state.phase === 'listening') {
    considerJoining(turn);
    if (state.phase === 'listening') considerFounding(turn);
  }
  if (state.phase === 'proposing') considerElection(turn);
  if (now >= state.due.recover) askToRecover(turn);
  if (now >= state.due.propose) propose(turn);
  if (now >= state.due.hello) sayHello(turn);
}
