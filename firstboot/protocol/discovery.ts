// Who is there. A message counts when it is signed by a member, of a boot that answered our challenge, and new.
import type { Place } from '../../formats/roster.ts';
import type { Hello, Message } from './messages.ts';
import type { Peer, State } from './state.ts';
import type { BootId, Challenge, ClusterId, Milliseconds } from './terms.ts';
import { serverSilent } from './timings.ts';
import type { Turn } from './turn.ts';

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
