// In and out of clusters: joining one, obeying a decision, yielding to it, leaving what is lost.
import type { Place } from '../../formats/roster.ts';
import { alive, preferred, serverOf } from './discovery.ts';
import type { Cluster, Hello, Message } from './messages.ts';
import { proposeSoon } from './proposer.ts';
import type { Membership } from './record.ts';
import type { State } from './state.ts';
import type { ClusterId } from './terms.ts';
import { joinLasts, lostAfter, serverSilent } from './timings.ts';
import type { Turn } from './turn.ts';

/** In `listening`: joins a cluster that works, if one is heard that is not known to be the wrong one. */
export function considerJoining(turn: Turn): void {
  const { state, now } = turn;
  const { record, site } = state;
  if (state.diskFailed || state.cloned || !state.capable || site.members[state.place]?.denied) return;
  let best: { cluster: Cluster; by: Place } | undefined;
  for (const peer of state.peers) {
    const cluster = alive(peer, now, serverSilent) ? peer.hello?.cluster : undefined;
    if (peer === undefined || cluster === undefined || !cluster.ready || !cluster.server) continue;
    if (!site.members[cluster.identity.founder]?.eligible || !site.members[peer.place]?.eligible) continue;
    const decided = record.decided?.value.cluster;
    if (decided !== undefined && decided !== cluster.identity.cluster) continue;
    if (best === undefined || preferred(cluster, best.cluster)) best = { cluster, by: peer.place };
  }
  if (best === undefined) return;
  turn.since('join');
  const { identity, servers } = best.cluster;
  turn.write({ membership: { identity, role: 'agent', ready: false, shared: servers > 1 } });
  state.census = { servers, members: best.cluster.members, data: best.cluster.data };
  turn.enter('join');
  turn.act({ kind: 'join', identity, by: best.by });
}

export function onK3sReady(turn: Turn, cluster: ClusterId): void {
  const { state } = turn;
  const { membership } = state.record;
  if (membership?.identity.cluster !== cluster) return;
  state.store = cluster;
  if (!membership.ready) turn.write({ membership: { ...membership, ready: true } });
  if (state.phase === 'founding') turn.enter('ready');
  else if (state.phase === 'joining') turn.enter('joined');
  else return;
  turn.since('alone');
  turn.helloWithin(0);
  proposeSoon(turn);
}

export function onRole(turn: Turn, role: 'server' | 'agent'): void {
  const { state } = turn;
  const { membership } = state.record;
  if (membership === undefined || !membership.ready) return;
  if (role === 'server' && state.phase === 'member') {
    turn.write({ wasServer: true, membership: { ...membership, role, shared: true } });
    turn.enter('promoted');
  } else if (role === 'agent' && state.phase === 'serving') {
    turn.write({ membership: { ...membership, role } });
    turn.enter('demoted');
  }
  turn.helloWithin(0);
  proposeSoon(turn);
}

export function onCensus(turn: Turn, census: State['census']): void {
  const { state } = turn;
  const { membership } = state.record;
  const before = state.census;
  state.census = census;
  if (membership !== undefined && census.servers > 1 && !membership.shared) {
    turn.write({ membership: { ...membership, shared: true } });
  }
  // "It holds data" is said at once: what is lost next was known to hold some.
  if (census.data !== before.data || census.servers !== before.servers) turn.helloWithin(0);
}

/** What this device says of the cluster that it is in, in hellos and offers. */
export function ownCluster({ record: { membership }, census }: State): Cluster | undefined {
  if (membership === undefined) return undefined;
  const { identity, ready, role, shared } = membership;
  const servers = Math.max(census.servers, shared ? 2 : 1);
  return { identity, ready, server: role !== 'agent', servers, members: census.members, data: census.data };
}

/** What a hello says of this device's own cluster, or of the decided one, is remembered. */
export function rememberCluster(turn: Turn, hello: Hello): void {
  const { state } = turn;
  const { record } = state;
  const { cluster } = hello;
  if (cluster === undefined || !cluster.ready) return;
  const id = cluster.identity.cluster;
  const { membership, decided, seen } = record;
  if (membership?.identity.cluster === id) {
    if (cluster.server) {
      turn.since('alone');
      if (membership.role === 'agent') {
        state.census = { servers: cluster.servers, members: cluster.members, data: cluster.data };
      }
    }
    if (cluster.servers > 1 && !membership.shared)
      turn.write({ membership: { ...membership, shared: true } });
  }
  if (decided?.value.cluster !== id || !(cluster.server || cluster.data || cluster.servers > 1)) return;
  const known = seen?.cluster === id ? seen : undefined;
  const data = cluster.data || known?.data === true;
  const shared = cluster.servers > 1 || known?.shared === true;
  if (known?.data !== data || known.shared !== shared) turn.learn({ seen: { cluster: id, data, shared } });
}

/** A place says that it holds nothing any more of a cluster whose only server it was: its agents need not wait. */
export function onGone(turn: Turn, message: Message, hello: Hello): void {
  const { state } = turn;
  const { membership, retired } = state.record;
  if (hello.cluster !== undefined && hello.cluster.identity.cluster === retired) turn.helloWithin(1000);
  if (hello.gone === undefined || state.phase !== 'member' || membership?.identity.cluster !== hello.gone)
    return;
  if (message.from !== membership.identity.founder || membership.shared) return;
  if (state.doubles.includes(message.from)) return;
  if (turn.now - state.since.alone < serverSilent && !retiredBy(hello)) return;
  turn.note('membership: founder gone');
  leave(turn);
}

/** It retired the cluster itself, for another one, rather than lost its memory of it, or is a second board of its place. */
function retiredBy({ cluster, decided, gone }: Hello): boolean {
  return cluster !== undefined || (decided !== undefined && decided !== gone);
}

/** Looked at whenever this device watches: does a decision, or a silence, tell it to leave? */
export function considerLeaving(turn: Turn): void {
  const { state, now } = turn;
  const { membership } = state.record;
  if (membership === undefined) return;
  if (state.phase === 'holding') {
    considerServingAgain(turn, membership);
    return;
  }
  if (state.phase === 'joining') {
    considerGivingUp(turn, membership);
    return;
  }
  if (membership.role === 'agent') {
    considerLeavingAsAgent(turn, membership);
    return;
  }
  const decided = state.record.decided?.value.cluster;
  if (decided === undefined || decided === membership.identity.cluster) return;
  if (serverOf(state, decided, now) === undefined) return;
  yieldTo(turn, membership, `decided ${decided}`);
}

/** A server gives its cluster up, if it is its alone to give; `to` is said in the alarm where it is not. */
export function yieldTo(turn: Turn, membership: Membership, to: string): void {
  const { state } = turn;
  if (state.phase !== 'serving' && state.phase !== 'founding') return;
  if (membership.shared || state.census.servers > 1 || state.census.data) {
    if (state.phase === 'founding') return;
    turn.alarm(
      state.census.data ? 'holds-data' : 'two-clusters',
      `${membership.identity.cluster}, and ${to}`,
    );
    turn.enter('conflict');
    return;
  }
  turn.enter(state.phase === 'serving' ? 'yield' : 'yieldEarly');
  turn.act({ kind: 'testEmpty', cluster: membership.identity.cluster });
}

/** What it held for was decided after all, in a later generation, and works; its place was not given to another board. */
function considerServingAgain(turn: Turn, membership: Membership): void {
  const { state, now } = turn;
  const { decided, claim } = state.record;
  const own = membership.identity.cluster;
  if (decided?.value.cluster !== own || !membership.ready || claim?.over === true) return;
  if (membership.role !== 'agent' || serverOf(state, own, now) !== undefined) lookAgain(turn, membership);
}

/** Out of holding, beside a cluster of its own. */
export function lookAgain(turn: Turn, { role }: Membership): void {
  turn.enter(role === 'agent' ? 'memberAgain' : 'servesAgain');
}

function considerGivingUp(turn: Turn, membership: Membership): void {
  const { state, now } = turn;
  const server = serverOf(state, membership.identity.cluster, now);
  const decided = state.record.decided?.value.cluster;
  const wrong = decided !== undefined && decided !== membership.identity.cluster;
  if (server !== undefined && !wrong) {
    if (now - state.since.join >= joinLasts) {
      turn.since('join');
      turn.act({ kind: 'join', identity: membership.identity, by: server.place });
    }
    return;
  }
  if (!wrong && now - state.since.phase < joinLasts) return;
  turn.act({ kind: 'stopK3s' });
  turn.write({ membership: undefined });
  turn.enter('joinGivenUp');
  turn.settleAnew();
}

function considerLeavingAsAgent(turn: Turn, membership: Membership): void {
  const { state, now } = turn;
  if (state.phase !== 'member') return;
  const { record } = state;
  const own = membership.identity.cluster;
  const decided = record.decided?.value.cluster;
  if (decided === own || serverOf(state, own, now) !== undefined) return;
  const over = record.past.some((past) => past.certificate.value.cluster === own);
  if (!over) {
    if (membership.shared || now - state.since.alone < lostAfter) return;
    turn.note('membership: undecided and alone');
  }
  leave(turn);
}

/** An agent leaves its cluster; what it holds is looked at first. */
export function leave(turn: Turn): void {
  const { state } = turn;
  const cluster = state.record.membership?.identity.cluster;
  if (cluster === undefined) return;
  turn.enter('leave');
  turn.act({ kind: 'testEmpty', cluster });
}

/** k3s is stopped and its store was looked at. Promise 4: only what is empty is set aside. */
export function onEmptiness(turn: Turn, empty: boolean): void {
  const { state } = turn;
  const { membership } = state.record;
  if (state.phase !== 'yielding' || membership === undefined) return;
  if (empty) {
    turn.act({ kind: 'retire', cluster: membership.identity.cluster });
    return;
  }
  turn.enter('notEmpty');
  turn.alarm('holds-data', membership.identity.cluster);
  startAgain(turn, membership);
}

export function onRetired(turn: Turn, cluster: ClusterId): void {
  const { state } = turn;
  const { membership } = state.record;
  if (state.phase !== 'yielding' || membership?.identity.cluster !== cluster) return;
  state.store = undefined;
  turn.write(withoutMembership(membership));
  turn.enter('retired');
  // Others left the same cluster at the same time: one of them founds, not each.
  turn.settleAnew();
  turn.helloWithin(0);
}

/** What remains of a membership that was set aside: a server says of its cluster that it is gone. */
export function withoutMembership(membership: Membership): { membership: undefined; retired?: ClusterId } {
  const gone = membership.role === 'agent' ? {} : { retired: membership.identity.cluster };
  return { membership: undefined, ...gone };
}

export function startAgain(turn: Turn, { identity, role, ready }: Membership): void {
  if (role === 'founder') turn.act({ kind: 'startFounder', identity, permit: !ready });
  else turn.act({ kind: 'startMember', identity, role });
}
