// Servers over days: reconcilers on every server that look, decide, pause, die and wake with yesterday's decision,
// over the k3s of lab/standin/model.ts. Virtual time in ticks; everything from one seed.

import {
  applyChange,
  emptyJournal,
  type Journal,
  mostInADay,
  pauseBetween,
  returned,
  watched,
} from '../../firstboot/protocol/journal.ts';
import {
  type ClusterView,
  type Decision,
  decideRoles,
  defaultRoles,
  type NodeView,
} from '../../firstboot/protocol/roles.ts';
import { place } from '../../formats/roster.ts';
import {
  addLearner,
  type Cluster,
  deleteNode,
  founded,
  hasQuorum,
  measured,
  type Outcome,
  promoteLearner,
  registerNode,
} from '../standin/model.ts';
import { Random } from './random.ts';
import type { Device, Reconciler } from './reconciler.ts';

const tick = 5_000;
const day = 24 * 3600_000;

export interface ServersResult {
  readonly violations: readonly string[];
  readonly marks: ReadonlyMap<string, number>;
  readonly voters: number;
  readonly devices: number;
  /** Nothing failed in this run. */
  readonly calm: boolean;
}

export function runServers(seed: number): ServersResult {
  return new ServersWorld(seed).run();
}

class ServersWorld {
  readonly #random: Random;
  readonly #devices: Device[];
  readonly #violations: string[] = [];
  readonly #marks = new Map<string, number>();
  readonly #begun: { at: number; kind: string }[] = [];
  #undoneAt: number | undefined;
  #cluster: Cluster;
  #journal: Journal = emptyJournal;
  #version = 1;
  #now = 0;
  readonly #trouble: number;
  readonly #pauses: number;

  constructor(seed: number) {
    this.#random = new Random(seed);
    const count = 2 + this.#random.below(6);
    this.#trouble = this.#random.pick([0, 0.002, 0.01]);
    this.#pauses = this.#random.pick([0, 0.1, 0.4]);
    this.#devices = Array.from({ length: count }, (_, index) => ({
      index: index + 1,
      name: `n${index + 1}`,
      powered: true,
      changedAt: 0,
      ready: true,
      readyChangedAt: 0,
      learnerSince: undefined,
      reconciler: { watchingSince: 0, journalSeen: { version: 1, at: 0 }, pending: undefined },
    }));
    this.#cluster = founded('c', 'ca', 'n1', '198.18.0.1', 'pw');
    for (const device of this.#devices.slice(1)) {
      this.#apply(registerNode(this.#cluster, device.name, 'pw', false));
    }
  }

  run(): ServersResult {
    const lasts = this.#random.pick([1, 3, 30]) * 3600_000;
    for (; this.#now < lasts; this.#now += tick) {
      for (const device of this.#devices) {
        this.#fate(device);
        this.#kubelet(device);
        this.#etcd(device);
        this.#reconcile(device);
      }
    }
    const voters = this.#cluster.members.filter((member) => member.voter).length;
    const calm = this.#trouble === 0;
    return { violations: this.#violations, marks: this.#marks, voters, devices: this.#devices.length, calm };
  }

  #fate(device: Device): void {
    const random = this.#random;
    if (device.powered && random.chance(this.#trouble / 8)) this.#power(device, false);
    else if (!device.powered && random.chance(0.004)) this.#power(device, true);
    if (device.powered && random.chance(this.#trouble / 4)) this.#restartReconciler(device);
  }

  #power(device: Device, on: boolean): void {
    device.powered = on;
    device.changedAt = this.#now;
    this.#restartReconciler(device);
    if (!on) return;
    const node = this.#cluster.nodes.find((one) => one.name === device.name);
    if (node !== undefined) return;
    // Removed while away: its server hangs, the agent sets it aside and joins as agent.
    this.#mark('a removed server returns');
    this.#apply(registerNode(this.#cluster, device.name, 'pw', false));
    this.#write(returned(this.#journal, place(device.index)));
  }

  #restartReconciler(device: Device): void {
    device.reconciler = {
      watchingSince: this.#now,
      journalSeen: { version: this.#version, at: this.#now },
      pending: undefined,
    };
  }

  /** The API's picture of a node follows it, late; every change is a new version of the object. */
  #kubelet(device: Device): void {
    const after = device.powered ? 10_000 : 40_000;
    if (device.ready === device.powered || this.#now - device.changedAt < after) return;
    const node = this.#cluster.nodes.find((one) => one.name === device.name);
    if (node === undefined || !this.#quorum()) return;
    device.ready = device.powered;
    device.readyChangedAt = this.#now;
    this.#apply(registerNode(this.#cluster, device.name, 'pw', node.server));
  }

  /** A learner that is up becomes a voter. */
  #etcd(device: Device): void {
    if (device.learnerSince === undefined) return;
    const age = this.#now - device.learnerSince;
    if (device.powered && age >= measured.voterLatest) {
      device.learnerSince = undefined;
      this.#cluster = promoteLearner(this.#cluster, device.name);
    } else if (age >= measured.learnerEvicted) {
      device.learnerSince = undefined;
      this.#mark('a learner was evicted');
      const members = this.#cluster.members.filter((member) => member.voter || member.name !== device.name);
      this.#cluster = { ...this.#cluster, members };
    }
  }

  #reconcile(device: Device): void {
    const { reconciler } = device;
    const serves = this.#cluster.members.some((member) => member.voter && member.name === device.name);
    if (!device.powered || !serves || !this.#quorum()) return;
    if (reconciler.journalSeen.version !== this.#version) {
      reconciler.journalSeen = { version: this.#version, at: this.#now };
    }
    if (reconciler.pending !== undefined) {
      if (this.#now < reconciler.pending.at) return;
      const { decision } = reconciler.pending;
      reconciler.pending = undefined;
      this.#carryOut(decision);
      return;
    }
    if ((this.#now / tick + device.index) % 6 !== 0) return; // every 30 s
    const seenFor = this.#now - reconciler.journalSeen.at;
    if (seenFor >= 60_000) {
      this.#write(watched(this.#journal, seenFor));
      reconciler.journalSeen = { version: this.#version, at: this.#now };
    }
    const decision = decideRoles(this.#view(reconciler), defaultRoles);
    // It may be paused between its decision and the act: the write goes out when it wakes.
    const pause = this.#random.chance(this.#pauses) ? this.#random.between(0, 900_000) : 0;
    reconciler.pending = { decision, at: this.#now + pause };
  }

  #view(reconciler: Reconciler): ClusterView {
    const nodes = this.#devices.flatMap((device): NodeView[] => {
      const node = this.#cluster.nodes.find((one) => one.name === device.name);
      if (node === undefined) return [];
      return [
        {
          place: place(device.index),
          name: device.name,
          uid: String(node.uid),
          resourceVersion: String(node.resourceVersion),
          eligible: true,
          class: device.index % 2,
          domain: device.index % 3 === 0 ? 'a' : 'b',
          server: node.server,
          voter: this.#cluster.members.some((member) => member.voter && member.name === device.name),
          ready: device.ready,
          unchangedFor: this.#now - Math.max(device.readyChangedAt, reconciler.watchingSince),
          fit: device.ready,
        },
      ];
    });
    return { nodes, quorum: true, journal: this.#journal, journalVersion: String(this.#version) };
  }

  #carryOut(decision: Decision): void {
    this.#mark(decision.kind);
    if (decision.kind === 'journal') {
      if (decision.version !== String(this.#version)) {
        this.#mark('journal: conflict');
        return;
      }
      if (decision.change.kind === 'begin') this.#began(decision.change.operation.kind);
      if (decision.change.kind === 'end') {
        this.#mark(`operation ${decision.change.outcome}`);
        if (decision.change.outcome === 'undone') this.#undoneAt = this.#now;
      }
      this.#write(applyChange(this.#journal, decision.change));
    } else if (decision.kind === 'promote') {
      // Each device asks the journal whether it is still meant.
      if (this.#journal.operation?.id !== decision.operation) return;
      for (const index of decision.places) {
        if (this.#journal.operation.candidates.includes(index)) this.#promote(index);
      }
    } else if (decision.kind === 'delete') {
      this.#delete(decision);
    }
  }

  #promote(index: number): void {
    const device = this.#devices[index - 1];
    if (device?.powered !== true || this.#cluster.members.some((member) => member.name === device.name))
      return;
    const alive = (name: string | undefined) => this.#alive(name);
    const outcome = addLearner(this.#cluster, device.name, `198.18.0.${index}`, alive);
    if ('refused' in outcome) {
      this.#mark(`etcd: ${outcome.refused}`);
      return;
    }
    this.#write(applyChange(this.#journal, { kind: 'starting', place: place(index) }));
    this.#cluster = outcome.cluster;
    device.learnerSince = this.#now;
  }

  #delete({ name, uid, resourceVersion, operation }: Decision & { kind: 'delete' }): void {
    const precondition = { uid: Number(uid), resourceVersion: Number(resourceVersion) };
    const outcome = deleteNode(this.#cluster, name, precondition, (one) => this.#alive(one));
    if ('refused' in outcome) {
      this.#mark(`delete: ${outcome.refused}`);
      return;
    }
    const device = this.#devices.find((one) => one.name === name);
    const growing = this.#journal.operation?.kind === 'grow';
    if (device?.ready === true && !growing)
      this.#violations.push(`${name} was deleted while it was ready, operation ${operation}`);
    this.#cluster = outcome.cluster;
    if (!this.#quorum()) this.#violations.push(`deleting ${name} lost quorum`);
    if (device !== undefined) device.ready = false;
    if (device?.powered === true) this.#power(device, true);
  }

  #began(kind: string): void {
    // Two voters, or one that is dead, are not kept waiting, unless the last operation failed.
    const servers = this.#cluster.members.filter((member) => member.voter).length;
    const mends = kind === 'replace' || servers % 2 === 0;
    const before = mends ? this.#undoneAt : this.#begun.at(-1)?.at;
    if (before !== undefined && this.#now - before < pauseBetween)
      this.#violations.push(`a ${kind} began ${this.#now - before} ms after the one before`);
    this.#begun.push({ at: this.#now, kind });
    const today = this.#begun.filter((one) => one.kind === 'replace' && this.#now - one.at < day);
    if (today.length > mostInADay) this.#violations.push(`${today.length} replacements in a day`);
  }

  #alive(name: string | undefined): boolean {
    return this.#devices.some((device) => device.name === name && device.powered);
  }

  #quorum(): boolean {
    return hasQuorum(this.#cluster, (name) => this.#alive(name));
  }

  #write(journal: Journal): void {
    this.#journal = journal;
    this.#version += 1;
  }

  #apply(outcome: Outcome): void {
    if ('cluster' in outcome) this.#cluster = outcome.cluster;
  }

  #mark(mark: string): void {
    this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1);
  }
}
