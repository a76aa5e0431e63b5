// A board's k3s from agent to server and back: promotion in place, removal, coming back as an agent. After MEASURED.

import type { ClusterId } from '../../firstboot/protocol/terms.ts';
import { addLearner, emptyDisk, measured, registerNode } from '../standin/model.ts';
import type { Board } from './board.ts';
import type { K3s } from './k3s.ts';
import { makeRoom } from './reconcilers.ts';
import type { World } from './world.ts';

/** A candidate that could not be added by then stays an agent. */
const promotionLasts = 360_000;

export class RoleChange {
  readonly #world: World;
  readonly #board: Board;
  readonly #k3s: K3s;

  constructor(world: World, board: Board, k3s: K3s) {
    this.#world = world;
    this.#board = board;
    this.#k3s = k3s;
  }

  /** Agent to server in place, as long as the journal names it. */
  promote(cluster: string, operation: number): void {
    if (this.#k3s.role !== 'agent' || this.#k3s.process !== 'running' || this.#k3s.disk.wal !== undefined)
      return;
    const run = this.#k3s.begin('server');
    const until = this.#world.now + promotionLasts;
    this.#k3s.after(measured.learner, run, () => this.#becomeLearner(run, cluster, operation, until));
  }

  #becomeLearner(run: number, cluster: string, operation: number, until: number): void {
    const world = this.#world;
    const { reconcilers, clusters } = world;
    const { place } = this.#board;
    if (reconcilers?.names(cluster, operation, place) !== true || world.now >= until) {
      this.#k3s.role = 'agent';
      this.#k3s.ready(cluster as ClusterId);
      return;
    }
    const again = () =>
      this.#k3s.after(measured.restart, run, () => this.#becomeLearner(run, cluster, operation, until));
    const server = this.#serverOf(cluster);
    if (server === undefined) {
      again();
      return;
    }
    const reached = (name: string | undefined) => world.reaches(server, cluster, name);
    const outcome = addLearner(clusters.get(cluster), this.#k3s.name, `198.18.0.${place}`, reached);
    if ('refused' in outcome) {
      again();
      return;
    }
    reconcilers.starting(cluster, place);
    clusters.put(outcome.cluster);
    const member = outcome.cluster.counter;
    this.#k3s.disk = { ...this.#k3s.disk, wal: { cluster, member } };
    world.at(world.now + measured.learnerEvicted, () => this.#evict(cluster, member));
    this.#k3s.after(measured.voter, run, () => this.#k3s.resume(run, cluster, member));
  }

  #serverOf(cluster: string): Board | undefined {
    const { boards, network, now } = this.#world;
    return boards.find(
      (other) => other.k3s.serves(cluster) && network.connects(this.#board.index, other.index, now),
    );
  }

  #evict(cluster: string, id: number): void {
    const store = this.#world.clusters.get(cluster);
    if (!store.members.some((member) => member.id === id && !member.voter)) return;
    const members = store.members.filter((member) => member.id !== id);
    this.#world.clusters.put({ ...store, members, removed: [...store.removed, id] });
  }

  /** Its member is gone from etcd: the process hangs. After a minute the agent asks a server what it is. */
  removed(): void {
    if (this.#k3s.process === 'hung') return;
    const run = this.#k3s.hang();
    const cluster = this.#k3s.disk.wal?.cluster;
    if (this.#world.reconcilers !== undefined && cluster !== undefined)
      this.#k3s.after(60_000, run, () => this.#rejoin(run, cluster));
  }

  /** Comes back as an agent; what it had as a server is set aside. */
  #rejoin(run: number, cluster: string): void {
    const { reconcilers, clusters } = this.#world;
    const again = () => this.#k3s.after(10_000, run, () => this.#rejoin(run, cluster));
    const server = this.#serverOf(cluster);
    if (server === undefined || reconcilers === undefined) {
      again();
      return;
    }
    makeRoom(this.#world, this.#board, server, cluster);
    const outcome = registerNode(clusters.get(cluster), this.#k3s.name, this.#k3s.password, false);
    if ('refused' in outcome) {
      again();
      return;
    }
    clusters.put(outcome.cluster);
    reconcilers.returned(cluster, this.#board.place);
    this.#k3s.disk = { ...emptyDisk, agentOf: cluster };
    this.#k3s.role = 'agent';
    this.#board.feed({ kind: 'role', role: 'agent' });
    this.#k3s.ready(cluster as ClusterId);
  }
}
