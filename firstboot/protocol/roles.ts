// Which devices are servers, after founding: one decision from one look at the cluster. Carried out by the reconciler
// on a server (firstboot/k3s), under preconditions; what it began is in the cluster's journal before it is done, so
// that whoever looks next goes on with it, undoes it, or finds nothing to do.
import type { Place } from '../../formats/roster.ts';
import { type Journal, mayBegin, type Need, type Operation } from './journal.ts';
import type { Milliseconds } from './terms.ts';

export interface NodeView {
  readonly place: Place;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly eligible: boolean;
  readonly class: number;
  readonly domain: string;
  readonly server: boolean;
  /** From `/db/info` of a live server, not from the node's condition: that lags by up to 52 s. */
  readonly voter: boolean;
  readonly ready: boolean;
  /** How long this reconciler has seen it in the state it is in, without a break: a restart begins anew. */
  readonly unchangedFor: Milliseconds;
  /** Images, memory, measured fsync, ports both ways: looked at within the last ten minutes. */
  readonly fit: boolean;
}

/** What one reconciler sees. Objects as they were read: their versions go into the preconditions. */
export interface ClusterView {
  readonly nodes: readonly NodeView[];
  /** The API answers and etcd has a leader. */
  readonly quorum: boolean;
  readonly journal: Journal;
  /** Version of the journal's object: every write of it is a compare-and-set. */
  readonly journalVersion: string;
}

export interface RoleSettings {
  /** Eligible devices from which on there are more servers than one. */
  readonly promoteAt: 3 | 4;
  readonly servers: 3 | 5;
  /** A server is dead after this long of unbroken observation. */
  readonly deadAfter: Milliseconds;
}

export const defaultRoles: RoleSettings = { promoteAt: 3, servers: 3, deadAfter: 600_000 };

/** What to do now. At most one write; the next look decides anew. */
export type Decision =
  | { readonly kind: 'nothing'; readonly why: string }
  /** Compare-and-set of the journal: begin, go on with the next candidate, or end an operation. */
  | { readonly kind: 'journal'; readonly version: string; readonly change: JournalChange }
  /** Ask a device to become a server; it first writes `starting` into the journal that still names it. */
  | { readonly kind: 'promote'; readonly operation: number; readonly places: readonly Place[] }
  /** Delete a Node and with it its etcd member, if it is still the object that was seen. */
  | {
      readonly kind: 'delete';
      readonly operation: number;
      readonly name: string;
      readonly uid: string;
      readonly resourceVersion: string;
    }
  | { readonly kind: 'alarm'; readonly why: string };

export type JournalChange =
  | { readonly kind: 'begin'; readonly operation: Omit<Operation, 'id'> }
  | { readonly kind: 'candidates'; readonly candidates: readonly Place[]; readonly tried: readonly Place[] }
  /** Written by the device itself before it starts as a server: whoever decided without knowing finds a conflict. */
  | { readonly kind: 'starting'; readonly place: Place }
  /** Nobody else is to be had: this voter is taken back, so that no two are left. No candidate is named after this. */
  | { readonly kind: 'retreat'; readonly dead: NonNullable<Operation['dead']> }
  | { readonly kind: 'end'; readonly outcome: 'done' | 'undone' };

/** A candidate that is no voter after this long is given up: etcd evicts a learner after five minutes. */
const promotionLasts: Milliseconds = 360_000;
/** A node that changes its role is away for this long at most. */
const restartLasts: Milliseconds = 90_000;

export function decideRoles(view: ClusterView, settings: RoleSettings): Decision {
  if (!view.quorum) return { kind: 'alarm', why: 'quorum is lost: a person decides, nothing is reset' };
  const { operation } = view.journal;
  if (operation?.kind === 'grow') return goOnGrowing(view, operation);
  if (operation?.kind === 'replace') return goOnReplacing(view, operation);
  return considerReplacing(view, settings) ?? considerGrowing(view, settings);
}

/** From one server to three (or five): the missing ones are promoted at once, never one at a time from one. */
function considerGrowing(view: ClusterView, settings: RoleSettings): Decision {
  const { nodes } = view;
  const servers = nodes.filter((node) => node.server);
  const eligible = nodes.filter((node) => node.eligible && node.ready);
  const target = eligible.length >= settings.promoteAt ? settings.servers : 1;
  const odd = target === 5 && eligible.length < 5 ? 3 : target;
  if (servers.length > settings.servers && areEven(nodes)) {
    // A candidate that was given up became a voter all the same.
    const [surplus] = [...servers].sort((a, b) => b.class - a.class || b.place - a.place);
    if (surplus !== undefined)
      return begin(view, { kind: 'grow', candidates: [], tried: [], dead: identityOf(surplus) }, 'mend');
  }
  if (servers.length >= odd) return { kind: 'nothing', why: 'as many servers as there should be' };
  if (servers.some((node) => !node.ready))
    return { kind: 'nothing', why: 'a server is away: etcd would refuse' };
  const candidates = candidatesOf(nodes, servers, []).slice(0, odd - servers.length);
  if (servers.length + candidates.length < odd) return { kind: 'nothing', why: 'too few candidates are fit' };
  // Two voters are worse than one: a server was flashed again and came back as an agent, or was removed.
  const need = servers.length % 2 === 0 ? 'mend' : 'grow';
  return begin(view, { kind: 'grow', candidates, tried: [], dead: undefined }, need);
}

function goOnGrowing(view: ClusterView, operation: Operation): Decision {
  const { nodes } = view;
  const { dead } = operation;
  if (dead !== undefined) {
    const back = nodes.find((node) => node.name === dead.name && node.uid === dead.uid && node.voter);
    if (back === undefined || !areEven(nodes)) return end(view, 'undone');
    return { kind: 'delete', operation: operation.id, ...identityOf(back) };
  }
  const missing = operation.candidates.filter(
    (place) => !nodes.some((node) => node.place === place && node.voter),
  );
  if (missing.length === 0) return end(view, 'done');
  const late = missing.filter((place) => {
    const node = nodes.find((candidate) => candidate.place === place);
    return isLost(node, operation);
  });
  if (late.length === 0) return { kind: 'promote', operation: operation.id, places: missing };
  const tried = [...operation.tried, ...late];
  const kept = operation.candidates.filter((place) => !late.includes(place));
  const taken = nodes.filter((node) => node.server || kept.includes(node.place));
  const others = candidatesOf(nodes, taken, tried).slice(0, late.length);
  if (others.length > 0) return candidates(view, [...kept, ...others], tried);
  // Nobody else. Two voters are worse than one: back, while both are alive.
  const halfway = nodes.filter((node) => node.voter && operation.candidates.includes(node.place));
  const voters = nodes.filter((node) => node.voter);
  const [only] = halfway;
  if (voters.length === 2 && only !== undefined && voters.every((node) => node.ready)) {
    return journal(view, { kind: 'retreat', dead: identityOf(only) });
  }
  return end(view, 'undone');
}

/** An even number of voters, and every server well: one can be taken back without a risk. */
function areEven(nodes: readonly NodeView[]): boolean {
  const servers = nodes.filter((node) => node.server);
  return servers.length % 2 === 0 && servers.every((node) => node.voter && node.ready);
}

/** Away for longer than the restart that a promotion is, or no voter in time. */
function isLost(node: NodeView | undefined, { age }: Operation): boolean {
  if (node === undefined) return true;
  return (!node.ready && node.unchangedFor > restartLasts) || (!node.voter && age > promotionLasts);
}

/** A server that is dead for long, with quorum intact and a candidate at hand: delete, then add. */
function considerReplacing(view: ClusterView, settings: RoleSettings): Decision | undefined {
  const { nodes } = view;
  const servers = nodes.filter((node) => node.server);
  const away = servers.filter((node) => !node.ready);
  const dead = away.find(
    (node) => node.unchangedFor >= settings.deadAfter * graceOf(view.journal, node.place),
  );
  if (dead === undefined || servers.length < 3) return undefined;
  const alive = servers.filter((node) => node.ready && node.voter).length;
  // Without the dead one a majority must still stand, and with one more lost it is a person's matter.
  if (alive < Math.floor((servers.length - 1) / 2) + 1 || away.length > 1) {
    return { kind: 'nothing', why: 'more than one server is away' };
  }
  const chosen = candidatesOf(nodes, servers, [dead.place])[0];
  if (chosen === undefined) return { kind: 'nothing', why: 'no candidate: its return heals' };
  const operation = { candidates: [chosen], tried: [dead.place], dead: identityOf(dead) };
  return begin(view, { kind: 'replace', ...operation }, 'mend');
}

function goOnReplacing(view: ClusterView, operation: Operation): Decision {
  const { nodes } = view;
  const { dead } = operation;
  const old = nodes.find((node) => node.name === dead?.name && node.uid === dead.uid);
  if (old?.ready === true) return end(view, 'undone'); // it came back before it was removed
  if (old !== undefined) return { kind: 'delete', operation: operation.id, ...identityOf(old) };
  const [candidate] = operation.candidates;
  const node = nodes.find((one) => one.place === candidate);
  if (node?.voter === true) return end(view, 'done');
  if (!isLost(node, operation) && candidate !== undefined)
    return { kind: 'promote', operation: operation.id, places: [candidate] };
  const tried = candidate === undefined ? operation.tried : [...operation.tried, candidate];
  const [next] = candidatesOf(
    nodes,
    nodes.filter((one) => one.server),
    tried,
  );
  return next === undefined ? end(view, 'undone') : candidates(view, [next], tried);
}

function begin(view: ClusterView, operation: Omit<Operation, 'id' | 'age'>, need: Need): Decision {
  const refusal = mayBegin(view.journal, operation.kind, need);
  if (refusal !== undefined) return { kind: 'nothing', why: refusal };
  return journal(view, { kind: 'begin', operation: { ...operation, age: 0 } });
}

const end = (view: ClusterView, outcome: 'done' | 'undone') => journal(view, { kind: 'end', outcome });
const candidates = (view: ClusterView, chosen: readonly Place[], tried: readonly Place[]) =>
  journal(view, { kind: 'candidates', candidates: chosen, tried });
const journal = (view: ClusterView, change: JournalChange): Decision => ({
  kind: 'journal',
  version: view.journalVersion,
  change,
});

function identityOf({ name, uid, resourceVersion }: NodeView): {
  name: string;
  uid: string;
  resourceVersion: string;
} {
  return { name, uid, resourceVersion };
}

/** Fit agents, best first: a failure domain without a server, then hardware class, then place. */
function candidatesOf(
  nodes: readonly NodeView[],
  servers: readonly NodeView[],
  not: readonly Place[],
): Place[] {
  const free = nodes.filter(
    (node) =>
      node.eligible &&
      node.fit &&
      node.ready &&
      !node.server &&
      !servers.includes(node) &&
      !not.includes(node.place),
  );
  const chosen: NodeView[] = [];
  const crowd = (node: NodeView) =>
    [...servers, ...chosen].filter((other) => other.domain === node.domain).length;
  while (free.length > 0) {
    free.sort((a, b) => crowd(a) - crowd(b) || a.class - b.class || a.place - b.place);
    chosen.push(free.shift() as NodeView);
  }
  return chosen.map((node) => node.place);
}

/** One that came back after it was removed gets twice the time, each time. */
function graceOf({ returns }: Journal, place: Place): number {
  return 2 ** Math.min(returns.filter((other) => other === place).length, 6);
}
