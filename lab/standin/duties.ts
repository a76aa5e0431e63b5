// What servers do by themselves, as k3s's controllers do: each ties its node to its member, the rest is the leader's.
import type { Etcd } from './etcd.ts';
import { type Cluster, promoteLearner, removeMember } from './model.ts';
import { nodeGrace, paced } from './pace.ts';
import {
  changesTo,
  isObject,
  isUntied,
  type Json,
  type JsonObject,
  metadataOf,
  nodeKey,
  objectAt,
  type State,
  textAt,
  type Value,
  viewOf,
} from './state.ts';

/** What of the store a server's duties need. */
type Store = Pick<
  Etcd,
  'alive' | 'behind' | 'change' | 'hasLeader' | 'identity' | 'leads' | 'request' | 'state'
>;

export class Duties {
  readonly #etcd: Store;
  readonly #ca: string;
  /** When a learner was first seen, and last seen alive; when a lease last changed and to what. */
  readonly #learners = new Map<number, { since: number; alive: number }>();
  readonly #leases = new Map<string, { version: string; at: number }>();
  #busy = false;

  constructor(etcd: Store, ca: string) {
    this.#etcd = etcd;
    this.#ca = ca;
    setInterval(() => void this.#round(), 500);
  }

  async #round(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      if (this.#etcd.hasLeader) await this.#tieOwn();
      if (!this.#etcd.leads) {
        this.#learners.clear();
        this.#leases.clear();
        return;
      }
      const now = performance.now();
      if (this.#due(this.#etcd.state, now) !== undefined) {
        await this.#etcd.change((state) => this.#due(state, now));
      }
    } catch {
      // Without a majority nothing is due; the next round looks again.
    } finally {
      this.#busy = false;
    }
  }

  /** A server that works ties its own node: nobody else does it for one that just died. */
  async #tieOwn(): Promise<void> {
    const { state, identity } = this.#etcd;
    const own = state.roll.members.find((member) => member.id === identity.member);
    if (own?.voter === true && isUntied(state, own))
      await this.#etcd.request({ kind: 'tie', name: own.node });
  }

  /** The leader's, one thing at a time. */
  #due(state: State, now: number): Value | undefined {
    const view = viewOf(state, this.#ca);
    // A member is known by its name from its first start on, before it is a voter.
    const started = state.roll.members.find(
      (member) => member.name === undefined && this.#etcd.alive(member.id),
    );
    if (started !== undefined) {
      const members = state.roll.members.map((one) => (one === started ? { ...one, name: one.node } : one));
      return { changes: [], roll: { ...state.roll, members } };
    }
    const after = this.#members(state, view, now);
    if (after !== undefined) return changesTo(state, view, after);
    for (const node of view.nodes) {
      const object = state.objects[nodeKey(node.name)];
      if (object === undefined) continue;
      const next = this.#lost(state, node.name, object, now) ?? this.#voter(state, node.name, object);
      if (next !== undefined) return { changes: [{ key: nodeKey(node.name), object: next }] };
    }
    return undefined;
  }

  #members(state: State, view: Cluster, now: number): Cluster | undefined {
    for (const { id, node } of state.roll.members.filter((member) => !member.voter)) {
      const seen = this.#learners.get(id) ?? { since: now, alive: now };
      if (this.#etcd.alive(id)) seen.alive = now;
      this.#learners.set(id, seen);
      const upToDate = this.#etcd.alive(id) && this.#etcd.behind(id) === 0;
      if (upToDate && now - seen.since >= paced('voter') - paced('learner'))
        return promoteLearner(view, node);
      if (now - seen.alive >= paced('learnerEvicted')) {
        const members = view.members.filter((member) => member.id !== id);
        return { ...view, members, removed: [...view.removed, id] };
      }
    }
    for (const node of view.nodes) {
      const object = state.objects[nodeKey(node.name)];
      if (object === undefined) continue;
      const annotations = objectAt(metadataOf(object), 'annotations');
      const asked = annotations['etcd.k3s.cattle.io/remove'] === 'true';
      if (asked && node.etcdName !== undefined) {
        const alive = (name: string | undefined) => this.#aliveNode(state, name);
        const outcome = removeMember(view, node.name, alive);
        if ('cluster' in outcome) return outcome.cluster;
      }
    }
    return undefined;
  }

  #aliveNode(state: State, name: string | undefined): boolean {
    return state.roll.members.some((member) => member.node === name && this.#etcd.alive(member.id));
  }

  /** A node whose lease nobody renewed is unknown. */
  #lost(state: State, name: string, object: JsonObject, now: number): JsonObject | undefined {
    const lease = state.objects[`coordination.k8s.io/leases/kube-node-lease/${name}`];
    const version = textAt(metadataOf(lease ?? {}), 'resourceVersion') ?? '';
    const seen = this.#leases.get(name);
    if (seen?.version !== version) this.#leases.set(name, { version, at: now });
    else if (now - seen.at > nodeGrace && conditionOf(object, 'Ready') === 'True') {
      return withCondition(object, 'Ready', 'Unknown', 'NodeStatusUnknown');
    }
    return undefined;
  }

  #voter(state: State, name: string, object: JsonObject): JsonObject | undefined {
    const member = state.roll.members.find((one) => one.node === name);
    if (member === undefined || (conditionOf(object, 'EtcdIsVoter') !== undefined) === member.voter)
      return undefined;
    return member.voter ? withCondition(object, 'EtcdIsVoter', 'True', 'MemberNotLearner') : undefined;
  }
}

function conditionsOf(object: JsonObject): readonly JsonObject[] {
  const list = objectAt(object, 'status')['conditions'];
  return Array.isArray(list) ? list.filter((one: Json) => isObject(one)) : [];
}

function conditionOf(object: JsonObject, type: string): string | undefined {
  return textAt(conditionsOf(object).find((one) => one['type'] === type) ?? {}, 'status');
}

/** The object with a condition as told; when it changed is kept where it did not. */
export function withCondition(object: JsonObject, type: string, status: string, reason: string): JsonObject {
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const old = conditionsOf(object).find((one) => one['type'] === type);
  const lastTransitionTime = old?.['status'] === status ? (old['lastTransitionTime'] ?? at) : at;
  const condition = { type, status, reason, lastHeartbeatTime: at, lastTransitionTime };
  const conditions = [...conditionsOf(object).filter((one) => one['type'] !== type), condition];
  return { ...object, status: { ...objectAt(object, 'status'), conditions } };
}
