// Who founds, and when. Rank decides among those who answer; time decides when nobody does.
import type { Place } from '../../formats/roster.ts';
import { alive } from './discovery.ts';
import { canFound } from './hello.ts';
import type { Phase } from './phases.ts';
import { proposeSoon } from './proposer.ts';
import { outranks } from './site.ts';
import type { Peer, State } from './state.ts';
import { type Identity, sameIdentity } from './terms.ts';
import { foundingCounts, peerSilent, serverSilent, settle, settleAlone, turnToFound } from './timings.ts';
import type { Turn } from './turn.ts';

/** Called in `listening` whenever time has passed: founds, or asks the electors, once it is this device's turn. */
export function considerFounding(turn: Turn): void {
  const { state, now } = turn;
  const { carrierAt, record } = state;
  if (carrierAt === undefined || !canFound(state)) return;
  const company =
    state.peers.some((peer) => alive(peer, now, peerSilent)) ||
    state.enrolment?.claimants.some((one) => now - one.heardAt <= peerSilent) === true;
  const settledAt = carrierAt + (company ? settle : settleAlone);
  if (now < settledAt) {
    turn.dueBy('settle', settledAt);
    return;
  }
  if (clusterHeard(state, now) || !ownTurn(turn)) return;
  if (!company) turn.note('founding: alone');
  if (state.site.policy.kind === 'first-online') {
    turn.enter('found');
    turn.act({ kind: 'makeIdentity' });
    turn.helloWithin(0);
    return;
  }
  turn.enter('propose');
  if (record.candidate === undefined) turn.act({ kind: 'makeIdentity' });
  else proposeSoon(turn);
}

/** The CA was made: from here on the device is bound to the identity. */
export function onIdentity(turn: Turn, identity: Identity): void {
  const { state } = turn;
  if (state.phase === 'founding' && state.record.membership === undefined) {
    found(turn, identity);
    return;
  }
  if (state.phase !== 'proposing' || state.record.candidate !== undefined) return;
  turn.write({ candidate: identity });
  proposeSoon(turn);
}

/** In `proposing`: a decision for this device's own identity makes it the founder; any other sends it back. */
export function considerElection(turn: Turn): void {
  const { state, now } = turn;
  const { candidate, decided } = state.record;
  if (decided === undefined) {
    if (!canFound(state) || clusterHeard(state, now)) turn.enter('stepBack');
    return;
  }
  if (candidate === undefined || !sameIdentity(candidate, decided.value)) {
    turn.enter('stepBack');
    return;
  }
  turn.enter('elected');
  found(turn, candidate);
}

function found(turn: Turn, identity: Identity): void {
  const { state } = turn;
  turn.write({
    wasServer: true,
    membership: { identity, role: 'founder', ready: false, shared: false },
  });
  state.census = { servers: 1, members: 1, data: false };
  turn.act({ kind: 'startFounder', identity, permit: true });
  turn.helloWithin(0);
}

/** A peer says that it is in a cluster, or founds one and has not taken too long. */
function clusterHeard({ peers }: State, now: number): boolean {
  return peers.some((peer) => {
    if (!alive(peer, now, serverSilent)) return false;
    const { hello, foundingSince } = peer;
    if (hello?.cluster?.ready === true && (hello.cluster.server || !isLeft(hello.phase))) return true;
    return foundingSince !== undefined && now - foundingSince < foundingCounts;
  });
}

/** An agent yields, or holds its data for a person, because its cluster is gone: the others do not wait for it. */
function isLeft(phase: Phase): boolean {
  return phase === 'yielding' || phase === 'holding';
}

/**
 * First in rank among those who answer and could found. Each that ranks before has its turn, one after the other,
 * counted from when it was first heard to be able to.
 */
function ownTurn(turn: Turn): boolean {
  const { state, now } = turn;
  const better = state.peers
    .filter((peer): peer is Peer & { canFoundSince: number } => before(state, peer, now))
    .sort((a, b) => (outranks(state.site, a.place, b.place) ? -1 : 1));
  let turnEnds = 0;
  for (const peer of better) turnEnds = Math.max(turnEnds, peer.canFoundSince) + turnToFound;
  if (now < turnEnds) {
    turn.note('founding: waits its turn');
    return false;
  }
  if (better.length > 0) turn.note('founding: turn lost');
  return true;
}

function before(state: State, peer: Peer | undefined, now: number): boolean {
  const own: Place = state.place;
  return (
    alive(peer, now, peerSilent) && peer.canFoundSince !== undefined && outranks(state.site, peer.place, own)
  );
}
