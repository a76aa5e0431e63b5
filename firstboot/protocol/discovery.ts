// Who is there. A message counts when it is signed by a member, of a boot that answered our challenge, and new.
import type { Place } from '../../formats/roster.ts';
import type { Hello, Message } from './messages.ts';
import type { Peer, State } from './state.ts';
import type { BootId, Challenge, ClusterId, Milliseconds } from './terms.ts';
import {
  askEvery,
  beaconEvery,
  beaconSlowly,
  beaconSlowlyAfter,
  helloEvery,
  helloSlowly,
  helloSlowlyAfter,
  peerSilent,
  serverSilent,
} from './timings.ts';
import type { Turn } from './turn.ts';

/** Challenges are replaced this often while the device speaks; the one before is still accepted. */
const challengeLasts = 10_000;
/** Echoes that fit a hello beside the rest of it. */
export const mostEchoes = 32;

/** Whether the message may be acted on. Unproven, repeated and foreign ones are not, but are remembered as heard. */
export function hear(turn: Turn, message: Message): boolean {
  const { state } = turn;
  const { from, boot } = message;
  if (message.site !== state.site.name) return false;
  if (from === state.place) {
    if (boot !== state.boot) ownPlaceSpoke(turn, message);
    return false;
  }
  const member = state.site.members[from];
  if (member === undefined || member.denied) return false;
  if (message.electors !== state.site.electorsHash) {
    turn.alarm('foreign-electors', `place ${from}`);
    return false;
  }
  const peer = state.peers[from] ?? unknownPeer(from);
  if (peer.boot === boot) return hearAgain(turn, peer, message);
  return hearStranger(turn, peer, message);
}

function hearAgain(turn: Turn, peer: Peer, message: Message): boolean {
  const ahead = message.sequence - peer.sequence;
  if (ahead <= -32 || (ahead <= 0 && (peer.seen >>> -ahead) & 1)) {
    turn.note('discovery: copy dropped');
    return false;
  }
  const seen = ahead > 0 ? (ahead < 32 ? (peer.seen << ahead) | 1 : 1) : peer.seen | (1 << -ahead);
  const sequence = ahead > 0 ? message.sequence : peer.sequence;
  const heard = { ...peer, sequence, seen, heardAt: turn.now };
  keep(
    turn,
    message.body.kind === 'hello' && ahead > 0 ? withHello(turn, heard, message, message.body) : heard,
  );
  return true;
}

/** A boot that has not answered our challenge: a device that has just started, or a recording. */
function hearStranger(turn: Turn, peer: Peer, message: Message): boolean {
  const { state } = turn;
  const { body, boot } = message;
  if (body.kind !== 'hello') return false;
  const former = peer.formerBoots.includes(boot);
  const answersNewest = answers(body, state.place, state.challenge);
  if (former && answersNewest && state.challengeAt > peer.provenAt) {
    // Two boots answer in turns: two boards.
    turn.note('discovery: clone');
    turn.alarm('clone', `place ${peer.place}`);
    return false;
  }
  if (former || !(answersNewest || answers(body, state.place, state.formerChallenge))) {
    keep(turn, withStranger(peer, boot, body.challenge));
    if (!state.alarms.includes('clone')) turn.helloWithin(200);
    return false;
  }
  turn.note('discovery: proven');
  const proven: Peer = {
    ...peer,
    boot,
    provenAt: turn.now,
    formerBoots: peer.boot === undefined ? peer.formerBoots : [...peer.formerBoots.slice(-3), peer.boot],
    sequence: message.sequence,
    seen: 1,
    heardAt: turn.now,
    strangers: peer.strangers.filter((stranger) => stranger.boot !== boot),
    canFoundSince: undefined,
    foundingSince: undefined,
  };
  keep(turn, withHello(turn, proven, message, body));
  return true;
}

function withHello(turn: Turn, peer: Peer, message: Message, hello: Hello): Peer {
  const founding = hello.cluster !== undefined && !hello.cluster.ready && hello.cluster.server;
  return {
    ...peer,
    incarnation: message.incarnation,
    generation: message.generation,
    challenge: hello.challenge,
    owed: true,
    hello,
    canFoundSince: hello.canFound ? (peer.canFoundSince ?? turn.now) : undefined,
    foundingSince: founding ? (peer.foundingSince ?? turn.now) : undefined,
  };
}

/** Our own key speaks from another boot. Only an answer to this boot's newest challenge proves a second board. */
function ownPlaceSpoke(turn: Turn, message: Message): void {
  const { state } = turn;
  if (message.body.kind !== 'hello') return;
  if (answers(message.body, state.place, state.challenge)) {
    turn.note('discovery: clone');
    turn.alarm('clone', `place ${state.place}: this one`);
    state.cloned = true;
    if (state.phase === 'listening') turn.enter('cloned');
    return;
  }
  const peer = state.peers[state.place] ?? unknownPeer(state.place);
  keep(turn, withStranger(peer, message.boot, message.body.challenge));
  turn.helloWithin(200);
}

/** Does the hello echo this challenge to this place? It may echo another too: to a former boot, or a recording of one. */
function answers(hello: Hello, place: Place, challenge: Challenge): boolean {
  for (const echo of hello.echoes) if (echo.place === place && echo.challenge === challenge) return true;
  return false;
}

/** Recordings come from few boots: each that still speaks gets its echo, so that none keeps the living one from its. */
function withStranger(peer: Peer, boot: BootId, challenge: Challenge): Peer {
  const others = peer.strangers.filter((stranger) => stranger.boot !== boot).slice(-3);
  return { ...peer, strangers: [...others, { boot, challenge }], owed: true };
}

function keep(turn: Turn, peer: Peer): void {
  const peers = turn.state.peers.slice();
  peers[peer.place] = peer;
  turn.state.peers = peers;
}

function unknownPeer(place: Place): Peer {
  return {
    place,
    boot: undefined as BootId | undefined,
    provenAt: 0,
    formerBoots: [],
    incarnation: 0 as Peer['incarnation'],
    sequence: 0,
    seen: 0,
    heardAt: 0,
    challenge: undefined,
    strangers: [],
    owed: false,
    hello: undefined,
    generation: 0,
    canFoundSince: undefined,
    foundingSince: undefined,
  };
}

/** Whether the peer answered our challenge and was heard within `silence`. */
export function alive(peer: Peer | undefined, now: Milliseconds, silence: Milliseconds): peer is Peer {
  return peer?.boot !== undefined && now - peer.heardAt <= silence;
}

/** A live server of the cluster whose API works. */
export function serverOf(state: State, cluster: ClusterId, now: Milliseconds): Peer | undefined {
  return state.peers.find(
    (peer) =>
      alive(peer, now, serverSilent) &&
      peer.hello?.cluster?.identity.cluster === cluster &&
      peer.hello.cluster.server &&
      peer.hello.cluster.ready,
  );
}

/** Says hello: what this device is, and the challenges that wait for an echo. */
export function sayHello(turn: Turn): void {
  const { state, now } = turn;
  state.helloAt = now + turn.around(helloPause(state, now));
  if (state.durable === undefined) return; // what was never on disk is never said
  if (now - state.challengeAt >= challengeLasts) {
    state.formerChallenge = state.challenge;
    state.challenge = turn.random as Challenge;
    state.challengeAt = now;
  }
  state.lastHello = now;
  turn.say(0, helloOf(turn));
}

function helloOf(turn: Turn): Hello {
  const { state } = turn;
  const { record, site } = state;
  const { membership } = record;
  return {
    kind: 'hello',
    phase: state.phase,
    canFound: canFound(state),
    cluster:
      membership === undefined
        ? undefined
        : {
            identity: membership.identity,
            ready: membership.ready,
            server: membership.role !== 'agent',
            ...state.census,
            servers: Math.max(state.census.servers, membership.shared ? 2 : 1),
          },
    decided: record.decided?.value.cluster,
    gone: goneCluster(state),
    epoch: site.epoch,
    roster: site.hash.slice(0, 16) as Hello['roster'],
    vector: record.vector,
    challenge: state.challenge,
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
    if (peer.challenge !== undefined) echoes.push({ place: peer.place, challenge: peer.challenge });
    peers ??= state.peers.slice();
    peers[peer.place] = { ...peer, strangers: [], owed: false };
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
  if (state.helloAt !== Number.POSITIVE_INFINITY || membership === undefined) return;
  if (serverOf(state, membership.identity.cluster, now) === undefined) turn.helloWithin(1_000);
}

function helloPause(state: State, now: Milliseconds): Milliseconds {
  const { membership } = state.record;
  const age = now - state.phaseSince;
  if (membership?.role === 'founder' || membership?.role === 'server') {
    return age < beaconSlowlyAfter ? beaconEvery : beaconSlowly;
  }
  if (membership?.ready === true) {
    return serverOf(state, membership.identity.cluster, now) === undefined
      ? askEvery
      : Number.POSITIVE_INFINITY;
  }
  const crowd = Math.max(
    1,
    state.peers.reduce((sum, peer) => sum + (alive(peer, now, peerSilent) ? 1 : 0), 0) / 16,
  );
  return (age < helloSlowlyAfter ? helloEvery : helloSlowly) * crowd;
}
