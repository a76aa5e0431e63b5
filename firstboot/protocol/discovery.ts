// Who is there. A message counts when it is signed by a member, of a boot that answered our challenge, and new.
import type { Place } from '../../formats/roster.ts';
import type { Cluster, Hello, Message } from './messages.ts';
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
  if (member?.key === undefined || member.denied) return false;
  // Under another table of a claimed site this place is another board's.
  if (state.site.claimed && message.electors !== state.site.electorsHash) return false;
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
  const hello = message.body.kind === 'hello' && ahead > 0 ? message.body : undefined;
  keep(turn, heardNow(peer, turn.now, sequence, seen, hello));
  return true;
}

/** A boot that has not answered our challenge: a device that has just started, or a recording. */
function hearStranger(turn: Turn, peer: Peer, message: Message): boolean {
  const { state } = turn;
  const { body, boot } = message;
  if (body.kind !== 'hello') return false;
  const former = peer.formerBoots.includes(boot);
  const { newest, at, former: older } = state.challenge;
  const answersNewest = answers(body, state.place, newest);
  // No recording of an earlier boot echoes a challenge that was made after this one was proven.
  const since = answersNewest && at > peer.provenAt;
  if (former && since) {
    // Two boots answer in turns: two boards.
    twoBoardsAt(turn, peer.place);
    return false;
  }
  const proves = peer.boot === undefined ? answersNewest || answers(body, state.place, older) : since;
  if (former || !proves) {
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
    strangers: peer.strangers.filter((stranger) => stranger.boot !== boot),
    canFoundSince: undefined,
    foundingSince: undefined,
  };
  keep(turn, heardNow(proven, turn.now, message.sequence, 1, body));
  turn.helloWithin(200); // it waits for its echo in turn, also where this device is quiet otherwise
  return true;
}

/** Two boards have the stamp of another place: a person is told, and the place is not believed where it matters. */
export function twoBoardsAt(turn: Turn, place: Place): void {
  const { state } = turn;
  turn.note('discovery: clone');
  turn.alarm('clone', `place ${place}`);
  if (!state.doubles.includes(place)) state.doubles = [...state.doubles, place];
}

/** The peer after a message of its proven boot; `news` is its newest hello. Written out for speed, like `draftOf`. */
function heardNow(
  peer: Peer,
  now: Milliseconds,
  sequence: number,
  seen: number,
  news: Hello | undefined,
): Peer {
  const { place, boot, provenAt, formerBoots, strangers } = peer;
  const hello = news ?? peer.hello;
  const cluster = hello?.cluster;
  const founding = cluster === undefined ? hello?.phase === 'founding' : !cluster.ready && cluster.server;
  return {
    place,
    boot,
    provenAt,
    formerBoots,
    sequence,
    seen,
    heardAt: now,
    strangers,
    owed: news !== undefined || peer.owed,
    hello,
    canFoundSince: hello?.canFound === true ? (peer.canFoundSince ?? now) : undefined,
    foundingSince: founding ? (peer.foundingSince ?? now) : undefined,
  };
}

/** The peer once its challenges were echoed. Written out for speed, like `draftOf`. */
export function echoed(peer: Peer): Peer {
  const { place, boot, provenAt, formerBoots, sequence, seen, heardAt } = peer;
  const { hello, canFoundSince, foundingSince } = peer;
  return {
    place,
    boot,
    provenAt,
    formerBoots,
    sequence,
    seen,
    heardAt,
    strangers: none,
    owed: false,
    hello,
    canFoundSince,
    foundingSince,
  };
}

const none: Peer['strangers'] = [];

/** Our own key speaks from another boot. Only an answer to this boot's newest challenge proves a second board. */
function ownPlaceSpoke(turn: Turn, message: Message): void {
  const { state } = turn;
  if (message.body.kind !== 'hello') return;
  if (answers(message.body, state.place, state.challenge.newest)) {
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

/** A place that nobody was heard from. */
export function unknownPeer(place: Place): Peer {
  return {
    place,
    boot: undefined,
    provenAt: 0,
    formerBoots: [],
    sequence: 0,
    seen: 0,
    heardAt: 0,
    strangers: [],
    owed: false,
    hello: undefined,
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

/** Of two clusters that work: the one with data, then with more members, then with the lower id. */
export function preferred(a: Standing, b: Standing): boolean {
  if (a.data !== b.data) return a.data;
  if (a.members !== b.members) return a.members > b.members;
  return a.identity.cluster < b.identity.cluster;
}

type Standing = Pick<Cluster, 'identity' | 'data' | 'members'>;
