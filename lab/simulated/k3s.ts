// k3s on one board, after the model of lab/standin/model.ts: what it takes in time, and what becomes of its disk.

import type { ClusterId, Identity } from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import {
  addLearner,
  beginningOf,
  type Disk,
  emptyDisk,
  hasQuorum,
  measured,
  promoteLearner,
  registerNode,
  resume,
} from '../standin/model.ts';
import type { Board } from './board.ts';
import { makeRoom } from './reconcilers.ts';
import type { World } from './world.ts';

type Process = 'stopped' | 'starting' | 'running' | 'hung';

export class K3s {
  disk: Disk = emptyDisk;
  process: Process = 'stopped';
  role: 'server' | 'agent' = 'agent';
  /** Set aside under their ids. */
  readonly retired: ClusterId[] = [];
  readonly #world: World;
  readonly #board: Board;
  /** Grows with every start and stop: what an earlier process had under way is void. */
  #run = 0;
  #joining: ClusterId | undefined;
  /** The server it was last told to join through. */
  #joinsBy: Place | undefined;

  constructor(world: World, board: Board) {
    this.#world = world;
    this.#board = board;
  }

  get name(): string {
    return `n${this.#board.place}`; // of a board that had no place yet when it asks: n0, and refused
  }

  /** Derived from the device's key and its flash: a re-flashed board has another. */
  get password(): string {
    return `${this.#board.index}.${this.#board.flashes}`;
  }

  storeOf(): ClusterId | undefined {
    return (this.disk.wal?.cluster ?? this.disk.agentOf) as ClusterId | undefined;
  }

  /** Is a server of this cluster up here? */
  serves(cluster: string): boolean {
    if (this.process !== 'running' || this.role !== 'server' || this.disk.wal?.cluster !== cluster)
      return false;
    if (this.#world.reconcilers === undefined) return true;
    const store = this.#world.clusters.get(cluster);
    return store.members.length === 1 || hasQuorum(store, this.#alive(cluster));
  }

  /** Who of a cluster's servers is up, as far as this board can tell. */
  #alive(cluster: string): (name: string | undefined) => boolean {
    return (name) => this.#world.reaches(this.#board, cluster, name);
  }

  startFounder(identity: Identity, permit: boolean): void {
    const settings = { clusterInit: permit, server: undefined, token: true };
    const beginning = beginningOf(this.disk, settings);
    if (beginning.kind === 'new' && !permit) return; // the unit refuses: no WAL, no permit
    if (this.process !== 'stopped') {
      this.#stillThere();
      return;
    }
    const run = this.#begin('server');
    if (beginning.kind === 'resume') {
      this.#resume(run, beginning.cluster, beginning.member);
      return;
    }
    this.#world.onFounding(this.#board, identity);
    const { cluster } = identity;
    this.#after(measured.ping, run, () => {
      this.#world.clusters.found(identity, this.name, this.password);
      this.disk = { ...this.disk, wal: { cluster, member: 1 }, ca: identity.ca };
      this.#after(measured.ready - measured.ping, run, () => this.#ready(cluster));
    });
  }

  startMember(role: 'server' | 'agent'): void {
    if (this.process !== 'stopped') {
      this.#stillThere();
      return;
    }
    const run = this.#begin(role);
    if (this.disk.wal !== undefined) {
      // A WAL wins: it was being promoted when it went away.
      this.role = 'server';
      this.#resume(run, this.disk.wal.cluster, this.disk.wal.member);
    } else if (this.disk.agentOf !== undefined) {
      const cluster = this.disk.agentOf as ClusterId;
      this.#after(measured.agentReady, run, () => this.#ready(cluster));
    }
  }

  /** The agent was restarted, k3s was not: it says again that it is up. */
  #stillThere(): void {
    const cluster = this.storeOf();
    if (this.process === 'running' && cluster !== undefined) this.#ready(cluster);
  }

  #resume(run: number, id: string, member: number): void {
    const outcome = resume(this.#world.clusters.get(id), member, this.#alive(id));
    if (outcome === 'hangs: permanently removed') this.removed();
    else if (outcome === 'serves') this.#after(measured.ready, run, () => this.#ready(id as ClusterId));
    else this.#after(measured.restart, run, () => this.#resume(run, id, member));
  }

  #ready(cluster: ClusterId): void {
    this.process = 'running';
    this.#board.feed({ kind: 'k3sReady', cluster });
    const { reconcilers, clusters } = this.#world;
    if (reconcilers !== undefined && this.role === 'server') {
      const registered = registerNode(clusters.get(cluster), this.name, this.password, true);
      if ('cluster' in registered) clusters.put(promoteLearner(registered.cluster, this.name));
      this.#board.feed({ kind: 'role', role: 'server' }); // a founder is one already, and does not mind
    }
    this.#world.clusters.changed(cluster);
  }

  /** Joins as agent through the server at `by`; k3s itself tries until it is stopped. */
  join(identity: Identity, by: Place): void {
    const { cluster } = identity;
    this.#joinsBy = by;
    if (this.#joining === cluster && this.process !== 'stopped') {
      this.#stillThere();
      return;
    }
    this.stop();
    this.#joining = cluster;
    this.#tryToJoin(this.#begin('agent'), cluster);
  }

  #tryToJoin(run: number, cluster: ClusterId): void {
    const world = this.#world;
    this.#after(measured.agentReady, run, () => {
      const server = world.boards.find(
        (other) =>
          other.place === this.#joinsBy &&
          other.k3s.serves(cluster) &&
          world.network.connects(this.#board.index, other.index, world.now),
      );
      const again = () => this.#after(measured.restart, run, () => this.#tryToJoin(run, cluster));
      if (server === undefined) return again();
      // The server's clock is taken over the verified channel before k3s checks certificates.
      this.#board.wallClock = Math.max(this.#board.wallClock, server.wallClock);
      makeRoom(world, this.#board, server, cluster);
      const outcome = registerNode(world.clusters.get(cluster), this.name, this.password, false);
      if ('refused' in outcome) {
        this.#board.feed({ kind: 'joinRefused', cluster, why: outcome.refused });
        again();
        return;
      }
      world.clusters.put(outcome.cluster);
      this.disk = { ...this.disk, agentOf: cluster };
      this.#ready(cluster);
    });
  }

  /** Agent to server in place, as long as the journal names it. */
  promote(cluster: string, operation: number): void {
    if (this.role !== 'agent' || this.process !== 'running' || this.disk.wal !== undefined) return;
    const run = this.#begin('server');
    const until = this.#world.now + 360_000;
    this.#after(measured.learner, run, () => this.#becomeLearner(run, cluster, operation, until));
  }

  #becomeLearner(run: number, cluster: string, operation: number, until: number): void {
    const world = this.#world;
    const { reconcilers, clusters } = world;
    const { place } = this.#board;
    if (reconcilers?.names(cluster, operation, place) !== true || world.now >= until) {
      this.role = 'agent';
      this.#ready(cluster as ClusterId);
      return;
    }
    const again = () =>
      this.#after(measured.restart, run, () => this.#becomeLearner(run, cluster, operation, until));
    const server = this.#serverOf(cluster);
    if (server === undefined) {
      again();
      return;
    }
    const reached = (name: string | undefined) => world.reaches(server, cluster, name);
    const outcome = addLearner(clusters.get(cluster), this.name, `198.18.0.${place}`, reached);
    if ('refused' in outcome) {
      again();
      return;
    }
    reconcilers.starting(cluster, place);
    clusters.put(outcome.cluster);
    const member = outcome.cluster.counter;
    this.disk = { ...this.disk, wal: { cluster, member } };
    world.at(world.now + measured.learnerEvicted, () => this.#evict(cluster, member));
    this.#after(measured.voter, run, () => this.#resume(run, cluster, member));
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
    if (this.process === 'hung') return;
    this.#run += 1;
    this.process = 'hung';
    const cluster = this.disk.wal?.cluster;
    if (this.#world.reconcilers !== undefined && cluster !== undefined)
      this.#after(60_000, this.#run, () => this.#rejoin(this.#run, cluster));
  }

  /** Comes back as an agent; what it had as a server is set aside. */
  #rejoin(run: number, cluster: string): void {
    const { reconcilers, clusters } = this.#world;
    const again = () => this.#after(10_000, run, () => this.#rejoin(run, cluster));
    const server = this.#serverOf(cluster);
    if (server === undefined || reconcilers === undefined) {
      again();
      return;
    }
    makeRoom(this.#world, this.#board, server, cluster);
    const outcome = registerNode(clusters.get(cluster), this.name, this.password, false);
    if ('refused' in outcome) {
      again();
      return;
    }
    clusters.put(outcome.cluster);
    reconcilers.returned(cluster, this.#board.place);
    this.disk = { ...emptyDisk, agentOf: cluster };
    this.role = 'agent';
    this.#board.feed({ kind: 'role', role: 'agent' });
    this.#ready(cluster as ClusterId);
  }

  /** A server without quorum exits, and is started again. */
  exitsWithoutQuorum(): void {
    const wal = this.disk.wal;
    if (wal === undefined) return;
    const run = this.#begin('server');
    this.#after(measured.restart, run, () => this.#resume(run, wal.cluster, wal.member));
  }

  /** k3s is stopped; then its store is read without kubelet, on loopback. */
  testEmpty(): void {
    const cluster = this.storeOf();
    this.stop();
    const run = this.#run;
    this.#after(measured.ready, run, () => {
      this.#board.feed({
        kind: 'emptiness',
        empty: cluster === undefined || !this.#world.clusters.holdsData(cluster, this.#board),
      });
    });
  }

  retire(cluster: ClusterId): void {
    this.stop();
    const run = this.#run;
    this.#after(200, run, () => {
      if (this.storeOf() === cluster) this.#world.onRetired(this.#board, cluster);
      this.retired.push(cluster);
      this.disk = emptyDisk;
      // The rename may be on disk and the agent not told: a cut here is one of the simulator's favourites.
      this.#after(20, run, () => this.#board.feed({ kind: 'retired', cluster }));
    });
  }

  stop(): void {
    this.#run += 1;
    this.process = 'stopped';
    this.#joining = undefined;
  }

  killed(): void {
    this.stop();
  }

  wiped(): void {
    this.#world.onWiped(this.#board);
    this.disk = emptyDisk;
    this.stop();
  }

  #begin(role: 'server' | 'agent'): number {
    this.#run += 1;
    this.process = 'starting';
    this.role = role;
    return this.#run;
  }

  /** Goes on after a measured time, varied, unless this k3s was stopped meanwhile. */
  #after(time: number, run: number, then: () => void): void {
    this.#world.at(this.#world.now + time * this.#world.random.between(0.8, 1.5), () => {
      if (run === this.#run && this.#board.powered && !this.#board.hung) then();
    });
  }
}
