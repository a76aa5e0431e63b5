// The k3s clusters of a run: their stores, and what people put into them.
import type { Identity } from '../../firstboot/protocol/terms.ts';
import { type Cluster, founded, votersOf } from '../standin/model.ts';
import type { Board } from './board.ts';
import type { World } from './world.ts';

export class Clusters {
  readonly #world: World;
  readonly #stores = new Map<string, Cluster>();
  /** Boards that hold a person's data, by cluster. */
  readonly #data = new Map<string, Set<Board>>();

  constructor(world: World) {
    this.#world = world;
  }

  get ids(): readonly string[] {
    return [...this.#stores.keys()];
  }

  get(id: string): Cluster {
    const cluster = this.#stores.get(id);
    if (cluster === undefined) throw new Error(`there is no cluster ${id}`);
    return cluster;
  }

  found(identity: Identity, name: string, password: string): void {
    if (this.#stores.has(identity.cluster)) return;
    const address = `198.18.0.${identity.founder}`;
    this.#stores.set(identity.cluster, founded(identity.cluster, identity.ca, name, address, password));
  }

  put(cluster: Cluster): void {
    this.#stores.set(cluster.id, cluster);
    this.changed(cluster.id);
  }

  /** A person deploys something with a volume, and its data lands on this board. */
  deploy(board: Board): boolean {
    const id = board.k3s.storeOf();
    if (id === undefined || !this.#world.boards.some((other) => other.k3s.serves(id))) return false;
    this.#data.set(id, (this.#data.get(id) ?? new Set()).add(board));
    this.changed(id);
    return true;
  }

  /** A server's store knows of every volume; an agent only sees its own files. */
  holdsData(id: string, board: Board): boolean {
    const boards = this.#data.get(id);
    if (boards === undefined) return false;
    return board.k3s.disk.wal === undefined ? boards.has(board) : boards.size > 0;
  }

  dataOf(id: string): ReadonlySet<Board> | undefined {
    return this.#data.get(id);
  }

  /** Servers read their own API. */
  changed(id: string): void {
    const cluster = this.#stores.get(id);
    if (cluster === undefined) return;
    const census = {
      kind: 'census',
      servers: votersOf(cluster).length,
      members: cluster.nodes.length,
      data: (this.#data.get(id)?.size ?? 0) > 0,
    } as const;
    for (const board of this.#world.boards) if (board.k3s.serves(id)) board.feed(census);
  }
}
