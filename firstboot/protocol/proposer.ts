// A proposer's side of the decision: one ballot at a time, with pauses that double.
import type { Place } from '../../formats/roster.ts';
import { answerAccept, answerPrepare } from './acceptor.ts';
import { learnDecision } from './certificates.ts';
import { canDecide } from './claims.ts';
import { alive, preferred } from './discovery.ts';
import type { Accept, AcceptedAnswer, Incarnations, Message, Prepare, Promised } from './messages.ts';
import { acceptanceStatement, verifyBy } from './signatures.ts';
import type { Proposal, State } from './state.ts';
import {
  type Accepted,
  type Ballot,
  type Challenge,
  compareBallots,
  type Identity,
  type Incarnation,
  isNear,
  lastRound,
  never,
} from './terms.ts';
import {
  ballotDefer,
  ballotLasts,
  ballotPause,
  ballotPauseMost,
  ballotRepeat,
  serverSilent,
} from './timings.ts';
import type { Turn } from './turn.ts';

/** The identity this device proposes, if it is one that proposes now. */
function ownValue(state: State): Identity | undefined {
  const { record, phase } = state;
  if (record.decided !== undefined || state.diskFailed || state.cloned) return undefined;
  if (state.enrolment !== undefined && !tableMayDecide(state)) return undefined;
  if (phase === 'proposing') return record.candidate;
  const { membership } = record;
  if (membership === undefined || !membership.ready || membership.role === 'agent') return undefined;
  return state.site.policy.kind === 'first-online' ? membership.identity : undefined;
}

/** In a claimed site nobody proposes before boards at more than half of all places are known to be bound to the table. */
function tableMayDecide({ site, place, peers, record }: State): boolean {
  const bound = peers.filter((peer) => peer?.boot !== undefined && peer.place !== place).length + 1;
  return record.claim?.over === false && canDecide(bound, site);
}

/** Called when `proposeAt` is due: goes on with a ballot, gives it up, or begins one. */
export function propose(turn: Turn): void {
  const { state, now } = turn;
  const value = ownValue(state);
  if (value === undefined) {
    state.proposal = undefined;
    turn.due('propose', never);
    return;
  }
  if (state.proposal !== undefined && now < state.proposal.until) {
    askAgain(turn, state.proposal);
    return;
  }
  if (state.proposal !== undefined) {
    pause(turn);
    return;
  }
  // Compared as it is set: a difference of fractions may round to less than its sum did, and wake for ever.
  const deferred = state.since.phase + ballotDefer;
  if (now < deferred && betterClusterHeard(state, now)) {
    turn.due('propose', deferred);
    return;
  }
  begin(turn, value);
}

/** Starts to propose soon, or again: there is reason to believe that a ballot could succeed now. */
export function proposeSoon(turn: Turn): void {
  const { state, now } = turn;
  if (state.proposal !== undefined || ownValue(state) === undefined) return;
  state.failedBallots = 0;
  turn.dueBy('propose', now + (turn.random % 300));
}

function begin(turn: Turn, value: Identity): void {
  const { state, now } = turn;
  const { record, place, site } = state;
  if (record.round >= lastRound) {
    turn.due('propose', never);
    return;
  }
  const ballot: Ballot = { round: record.round + 1, place, incarnation: record.incarnation };
  // On disk before it is said: a ballot is never used twice, also after a crash.
  turn.write({ round: ballot.round });
  state.proposal = {
    ballot,
    stage: 'preparing',
    challenge: turn.random as Challenge,
    value,
    until: now + ballotLasts,
    promises: [],
    acceptances: [],
    promisers: site.electors.map(() => 0),
  };
  askAgain(turn, state.proposal);
}

/** Says where the ballot stands to everybody, and to oneself: an elector that proposes is an acceptor like others. */
function askAgain(turn: Turn, { ballot, challenge, stage, value, promisers }: Proposal): void {
  const { state } = turn;
  turn.due('propose', turn.now + ballotRepeat);
  const oneself = { from: state.place, incarnation: state.record.incarnation };
  if (stage === 'preparing') {
    const prepare: Prepare = { kind: 'prepare', ballot, challenge };
    turn.say(0, prepare);
    const answer = answerPrepare(turn, prepare);
    if (answer !== undefined) onPromise(turn, oneself, answer);
  } else {
    const accept: Accept = { kind: 'accept', ballot, value, promisers, challenge };
    turn.say(0, accept);
    const answer = answerAccept(turn, accept);
    if (answer !== undefined) onAccepted(turn, oneself, answer);
  }
}

/** Who answers; the rest of its message was judged before. */
type Voter = Pick<Message, 'from' | 'incarnation'>;

function pause(turn: Turn): void {
  const { state, now } = turn;
  const most = Math.min(ballotPause * 2 ** state.failedBallots, ballotPauseMost);
  state.proposal = undefined;
  state.failedBallots += 1;
  turn.due('propose', now + ballotPause / 2 + most * ((turn.random % 1024) / 1024));
}

export function onPromise(turn: Turn, message: Voter, body: Promised): void {
  const { state } = turn;
  const { proposal, site } = state;
  if (proposal === undefined || proposal.stage !== 'preparing' || body.echo !== proposal.challenge) return;
  if ((site.slots[message.from] ?? -1) < 0) return;
  if (compareBallots(body.promised, proposal.ballot) !== 0) {
    outbid(turn, body.promised);
    return;
  }
  const { accepted, vector } = body;
  const promise = { place: message.from, incarnation: message.incarnation, vector, accepted };
  const promises = [...proposal.promises.filter((other) => other.place !== message.from), promise];
  state.proposal = { ...proposal, promises };
  const quorum = agreeing(site.slots, promises, site.quorum, 'unknown is fine');
  if (quorum === undefined) return;
  const older = highestAccepted(quorum.map((p) => p.accepted));
  if (older !== undefined && older.value.cluster !== proposal.value.cluster)
    turn.note('decision: adopted an older value');
  const promisers: (Incarnation | 0)[] = site.electors.map(() => 0);
  for (const member of quorum) promisers[site.slots[member.place] ?? -1] = member.incarnation;
  const value = older?.value ?? proposal.value;
  state.proposal = {
    ...proposal,
    stage: 'accepting',
    value,
    promises,
    promisers,
    until: turn.now + ballotLasts,
  };
  askAgain(turn, state.proposal);
}

export function onAccepted(turn: Turn, message: Voter, body: AcceptedAnswer): void {
  const { state, signatures } = turn;
  const { proposal, site, record } = state;
  if (proposal === undefined || proposal.stage !== 'accepting' || body.echo !== proposal.challenge) return;
  const { from: place, incarnation } = message;
  if ((site.slots[place] ?? -1) < 0) return;
  if (body.signature === undefined) {
    outbid(turn, body.promised);
    return;
  }
  const { ballot, value } = proposal;
  const { generation } = record;
  const statement = acceptanceStatement(site, generation, ballot, value, place, incarnation);
  if (!verifyBy(signatures, site, place, statement, body.signature)) return;
  const acceptance = { place, incarnation, signature: body.signature, vector: body.vector };
  const acceptances = [...proposal.acceptances.filter((other) => other.place !== place), acceptance];
  state.proposal = { ...proposal, acceptances };
  const quorum = agreeing(site.slots, acceptances, site.quorum, 'must be known');
  if (quorum === undefined) return;
  const signers = quorum.map((a) => ({ place: a.place, incarnation: a.incarnation, signature: a.signature }));
  turn.note('decision: decided');
  learnDecision(turn, { generation, ballot, value, signers });
}

/** Somebody promised a later ballot: this one cannot win any more. */
function outbid(turn: Turn, promised: Ballot | undefined): void {
  const { state } = turn;
  if (promised === undefined || compareBallots(promised, state.proposal?.ballot) <= 0) return;
  if (!isNear(promised, state.record.round)) return;
  if (promised.round > state.record.round) turn.learn({ round: promised.round });
  pause(turn);
}

interface Answer {
  readonly place: Place;
  readonly incarnation: Incarnation;
  readonly vector: Incarnations;
}

/**
 * A quorum among the answers whose members know each other by the incarnations they answered with, or undefined.
 * With at most seven electors the sets are few; the answers are tried without those that fit worst.
 */
function agreeing<T extends Answer>(
  slots: readonly number[],
  answers: readonly T[],
  quorum: number,
  unknown: 'unknown is fine' | 'must be known',
): readonly T[] | undefined {
  if (answers.length < quorum) return undefined;
  const agree = (a: T, b: T): boolean => {
    const known = a.vector[slots[b.place] ?? -1];
    return known === b.incarnation || (known === 0 && unknown === 'unknown is fine');
  };
  const clashes = answers.map((a) => answers.filter((b) => !agree(a, b) || !agree(b, a)).length);
  if (clashes.every((count) => count === 0)) return answers;
  const worst = clashes.indexOf(Math.max(...clashes));
  return agreeing(slots, answers.toSpliced(worst, 1), quorum, unknown);
}

function highestAccepted(values: readonly (Accepted | undefined)[]): Accepted | undefined {
  return values.reduce(
    (best, one) => (compareBallots(one?.ballot, best?.ballot) > 0 ? one : best),
    undefined,
  );
}

/** Another undecided cluster that should be the site's rather than this one. */
function betterClusterHeard(state: State, now: number): boolean {
  const identity = state.record.membership?.identity;
  if (identity === undefined) return false;
  return state.peers.some((peer) => {
    const cluster = alive(peer, now, serverSilent) ? peer.hello?.cluster : undefined;
    if (cluster === undefined || !cluster.server || !cluster.ready) return false;
    return cluster.identity.cluster !== identity.cluster && preferred(cluster, { ...state.census, identity });
  });
}
