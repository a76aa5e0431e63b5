// k3s on one board, after the model of lab/standin/model.ts: what it takes in time, and what becomes of its disk.

import type { ClusterId, Identity } from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import {
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
import { RoleChange } from './rolechange.ts';
import type { World } from './world.ts';

type Process = 'stopped' | 'starting' | 'running' | 'hung';

export class K3s {
  disk: Disk = emptyDisk;
  process: Process = 'stopped';
  role: 'server' | 'agent' = 'agent';
  /** Of any cluster, since the board was last flashed. */
  wasServer = false;
  /** Set aside under their ids. */
  readonly retired: ClusterId[] = [];
  readonly roles: RoleChange;
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
    this.roles = new RoleChange(world, board, this);
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
    const run = this.begin('server');
    if (beginning.kind === 'resume') {
      this.resume(run, beginning.cluster, beginning.member);
      return;
    }
    this.#world.onFounding(this.#board, identity);
    const { cluster } = identity;
    this.after(measured.ping, run, () => {
      this.#world.clusters.found(identity, this.name, this.password);
      this.disk = { ...this.disk, wal: { cluster, member: 1 }, ca: identity.ca };
      this.after(measured.ready - measured.ping, run, () => this.ready(cluster));
    });
  }

  startMember(role: 'server' | 'agent'): void {
    if (this.process !== 'stopped') {
      this.#stillThere();
      return;
    }
    const run = this.begin(role);
    if (this.disk.wal !== undefined) {
      // A WAL wins: it was being promoted when it went away.
      this.role = 'server';
      this.resume(run, this.disk.wal.cluster, this.disk.wal.member);
    } else if (this.disk.agentOf !== undefined) {
      const cluster = this.disk.agentOf as ClusterId;
      this.after(measured.agentReady, run, () => this.ready(cluster));
    }
  }

  /** The agent was restarted, k3s was not: it says again that it is up. */
  #stillThere(): void {
    const cluster = this.storeOf();
    if (this.process === 'running' && cluster !== undefined) this.ready(cluster);
  }

  /** A server finds its WAL: it serves, waits for quorum, or was removed. */
  resume(run: number, id: string, member: number): void {
    const outcome = resume(this.#world.clusters.get(id), member, this.#alive(id));
    if (outcome === 'hangs: permanently removed') this.roles.removed();
    else if (outcome === 'serves') this.after(measured.ready, run, () => this.ready(id as ClusterId));
    else this.after(measured.restart, run, () => this.resume(run, id, member));
  }

  /** k3s is up, and says so. */
  ready(cluster: ClusterId): void {
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
    this.#tryToJoin(this.begin('agent'), cluster);
  }

  #tryToJoin(run: number, cluster: ClusterId): void {
    const world = this.#world;
    this.after(measured.agentReady, run, () => {
      const server = world.boards.find(
        (other) =>
          other.place === this.#joinsBy &&
          other.k3s.serves(cluster) &&
          world.network.connects(this.#board.index, other.index, world.now),
      );
      const again = () => this.after(measured.restart, run, () => this.#tryToJoin(run, cluster));
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
      this.ready(cluster);
    });
  }

  /** A server without quorum exits, and is started again. */
  exitsWithoutQuorum(): void {
    const wal = this.disk.wal;
    if (wal === undefined) return;
    const run = this.begin('server');
    this.after(measured.restart, run, () => this.resume(run, wal.cluster, wal.member));
  }

  /** k3s is stopped; then its store is read without kubelet, on loopback. */
  testEmpty(): void {
    const cluster = this.storeOf();
    this.stop();
    const run = this.#run;
    this.after(measured.ready, run, () => {
      this.#board.feed({
        kind: 'emptiness',
        empty: cluster === undefined || !this.#world.clusters.holdsData(cluster, this.#board),
      });
    });
  }

  retire(cluster: ClusterId): void {
    this.stop();
    const run = this.#run;
    this.after(200, run, () => {
      // What is there is moved, whatever it was asked to move.
      const store = this.storeOf();
      if (store !== undefined) this.#world.onRetired(this.#board, store);
      this.retired.push(cluster);
      this.disk = emptyDisk;
      // The rename may be on disk and the agent not told: a cut here is one of the simulator's favourites.
      this.after(20, run, () => this.#board.feed({ kind: 'retired', cluster }));
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
    this.wasServer = false;
    this.stop();
  }

  /** A new process; the number of its run. */
  begin(role: 'server' | 'agent'): number {
    this.#run += 1;
    this.process = 'starting';
    this.role = role;
    if (role === 'server') this.wasServer = true;
    return this.#run;
  }

  /** The process is there and does nothing any more. */
  hang(): number {
    this.#run += 1;
    this.process = 'hung';
    return this.#run;
  }

  /** Goes on after a measured time, varied, unless this k3s was stopped meanwhile. */
  after(time: number, run: number, then: () => void): void {
    this.#world.at(this.#world.now + time * this.#world.random.between(0.8, 1.5), () => {
      if (run === this.#run && this.#board.powered && !this.#board.hung) then();
    });
  }
}
