// What a device says of itself, to whom it echoes, and how often it speaks.
import type { Place } from '../../formats/roster.ts';
import { alive, echoed, serverOf } from './discovery.ts';
import { ownCluster } from './membership.ts';
import type { Hello } from './messages.ts';
import type { Peer, State } from './state.ts';
import { sayEnrolment } from './tables.ts';
import { type Challenge, type ClusterId, type Milliseconds, never } from './terms.ts';
import {
  askEvery,
  beaconEvery,
  beaconSlowly,
  beaconSlowlyAfter,
  helloEvery,
  helloSlowly,
  helloSlowlyAfter,
  peerSilent,
} from './timings.ts';
import type { Turn } from './turn.ts';

/** Challenges are replaced this often while the device speaks; the one before is still accepted. */
const challengeLasts = 10_000;
/** Echoes that fit a hello beside the rest of it. */
const mostEchoes = 32;

/** Says hello: what this device is, and the challenges that wait for an echo. */
export function sayHello(turn: Turn): void {
  const { state, now } = turn;
  turn.due('hello', now + turn.around(helloPause(state, now)));
  if (state.durable === undefined) return; // what was never on disk is never said
  const { newest, at } = state.challenge;
  if (now - at >= challengeLasts)
    state.challenge = { newest: turn.random as Challenge, at: now, former: newest };
  turn.since('hello');
  if (state.phase !== 'enrolling') turn.say(0, helloOf(turn));
  if (state.enrolment !== undefined) sayEnrolment(turn, state.enrolment);
}

function helloOf(turn: Turn): Hello {
  const { state } = turn;
  const { record, site } = state;
  return {
    kind: 'hello',
    phase: state.phase,
    canFound: canFound(state),
    cluster: ownCluster(state),
    decided: record.decided?.value.cluster,
    gone: goneCluster(state),
    epoch: site.epoch,
    roster: site.hash.slice(0, 16) as Hello['roster'],
    serial: record.claim?.held?.table.serial,
    vector: record.vector,
    challenge: state.challenge.newest,
    echoes: takeEchoes(turn),
  };
}

/** Everybody heard since the last hello, as many as fit; the next hello goes on with the rest. */
function takeEchoes(turn: Turn): Hello['echoes'] {
  const { state } = turn;
  const echoes: { place: Place; challenge: Challenge }[] = [];
  const count = state.peers.length;
  let peers: (Peer | undefined)[] | undefined;
  for (let step = 0; step < count; step += 1) {
    const peer = state.peers[(state.echoFrom + step) % count];
    if (peer?.owed !== true) continue;
    if (echoes.length + 5 > mostEchoes) {
      state.echoFrom = peer.place;
      break;
    }
    for (const { challenge } of peer.strangers) echoes.push({ place: peer.place, challenge });
    if (peer.hello !== undefined) echoes.push({ place: peer.place, challenge: peer.hello.challenge });
    peers ??= state.peers.slice();
    peers[peer.place] = echoed(peer);
  }
  if (peers !== undefined) state.peers = peers;
  return echoes;
}

/** May this device found at all, whatever others do? */
export function canFound(state: State): boolean {
  const { site, place, record } = state;
  return (
    state.capable &&
    !state.diskFailed &&
    !state.cloned &&
    site.members[place]?.eligible === true &&
    !site.members[place].denied &&
    !record.wasServer &&
    record.membership === undefined &&
    state.carrierAt !== undefined &&
    mayFoundByPolicy(state)
  );
}

function mayFoundByPolicy({ site, place, record }: State): boolean {
  if (site.policy.kind === 'designated' && site.policy.place !== place) return false;
  const decided = record.decided?.value;
  if (decided === undefined) return true;
  return decided.founder === place && decided.cluster === record.candidate?.cluster;
}

/** The cluster that others may still believe in, though this place, its only server, holds nothing of it. */
function goneCluster(state: State): ClusterId | undefined {
  const { record, place } = state;
  if (record.retired !== undefined) return record.retired;
  if (record.membership !== undefined) return undefined;
  for (const peer of state.peers) {
    const cluster = peer?.hello?.cluster;
    if (cluster?.identity.founder === place && cluster.servers <= 1) return cluster.identity.cluster;
  }
  return undefined;
}

/** A member that was quiet asks again once its server is silent: the others must hear that it is there. */
export function askIfServerless(turn: Turn): void {
  const { state, now } = turn;
  const { membership } = state.record;
  if (state.due.hello <= now + askEvery || membership === undefined) return;
  if (serverOf(state, membership.identity.cluster, now) === undefined) turn.helloWithin(1_000);
}

function helloPause(state: State, now: Milliseconds): Milliseconds {
  const { record, site, place } = state;
  const { membership } = record;
  const age = now - state.since.phase;
  if (membership?.role === 'founder' || membership?.role === 'server') {
    return age < beaconSlowlyAfter ? beaconEvery : beaconSlowly;
  }
  if (membership?.ready === true) {
    if (serverOf(state, membership.identity.cluster, now) === undefined) return askEvery;
    // A proposer that missed its echo would not count its votes.
    return record.decided === undefined && (site.slots[place] ?? -1) >= 0 ? beaconSlowly : never;
  }
  const crowd = Math.max(
    1,
    state.peers.reduce((sum, peer) => sum + (alive(peer, now, peerSilent) ? 1 : 0), 0) / 16,
  );
  return (age < helloSlowlyAfter ? helloEvery : helloSlowly) * crowd;
}
