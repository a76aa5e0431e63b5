// The reconcilers of a drawn site: every server that works looks at its cluster, decides by roles.ts, and carries out what
// it decided a moment, or a pause, later. servers.ts runs the same rules over days; here they meet founding, yielding,
// flashing and cuts of the network.
import {
  applyChange,
  emptyJournal,
  type Journal,
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
import type { Place } from '../../formats/roster.ts';
import { deleteNode, hasQuorum, registerNode, votersOf } from '../standin/model.ts';
import type { Board } from './board.ts';
import type { World } from './world.ts';

const lookEvery = 30_000;
/** A node that is away is noticed by the API after this long. */
const noticed = 40_000;
/** A server without quorum exits after this long. */
const patience = 20_000;

interface Kept {
  journal: Journal;
  version: number;
  undoneAt: number | undefined;
  begunAt: number | undefined;
}

/** What one board has watched of one node, without a break. */
interface Watch {
  readonly state: string;
  readonly since: number;
}

export class Reconcilers {
  readonly #world: World;
  readonly #kept = new Map<string, Kept>();
  /** By watching board; begins anew with its agent's life. */
  readonly #watches = new Map<
    Board,
    { life: number; seen: Map<string, Watch>; version: number; at: number }
  >();
  /** Since when each board's node is as it is, in truth. */
  readonly #upSince = new Map<Board, { up: boolean; since: number }>();
  readonly #lostSince = new Map<Board, number>();

  constructor(world: World) {
    this.#world = world;
    this.#later();
  }

  #later(): void {
    this.#world.at(this.#world.now + lookEvery / 3, () => {
      for (const board of this.#world.boards) this.#look(board);
      this.#later();
    });
  }

  kept(cluster: string): Kept {
    let kept = this.#kept.get(cluster);
    if (kept === undefined) {
      kept = { journal: emptyJournal, version: 1, undoneAt: undefined, begunAt: undefined };
      this.#kept.set(cluster, kept);
    }
    return kept;
  }

  /** Does the journal name this place in the operation that is under way? */
  names(cluster: string, operation: number, place: Place): boolean {
    const current = this.kept(cluster).journal.operation;
    return current?.id === operation && current.candidates.includes(place);
  }

  /** The candidate's own word, before it starts as a server. */
  starting(cluster: string, place: Place): void {
    this.#write(this.kept(cluster), applyChange(this.kept(cluster).journal, { kind: 'starting', place }));
  }

  /** A removed server is there again. */
  returned(cluster: string, place: Place): void {
    this.#write(this.kept(cluster), returned(this.kept(cluster).journal, place));
  }

  #look(board: Board): void {
    const world = this.#world;
    const up = board.powered && board.k3s.process === 'running';
    if (this.#upSince.get(board)?.up !== up) this.#turned(board, up);
    const cluster = board.k3s.disk.wal?.cluster;
    if (!up || board.stolen || board.hung || board.k3s.role !== 'server' || cluster === undefined) return;
    const store = world.clusters.get(cluster);
    if (!store.members.some((member) => member.name === board.k3s.name)) {
      board.k3s.roles.removed();
      return;
    }
    if (!hasQuorum(store, (name) => world.reaches(board, cluster, name))) {
      const since = this.#lostSince.get(board) ?? world.now;
      this.#lostSince.set(board, since);
      if (world.now - since >= patience) board.k3s.exitsWithoutQuorum();
      return;
    }
    this.#lostSince.delete(board);
    if (board.pausedUntil > world.now || board.state === undefined) return;
    const watch = this.#watchOf(board, cluster);
    if (Math.floor((3 * world.now) / lookEvery) % 3 !== board.index % 3) return;
    const view = this.#view(board, cluster, watch.seen);
    const kept = this.kept(cluster);
    const time = world.now - watch.at;
    if (time >= 60_000) {
      this.#write(kept, watched(kept.journal, time));
      return;
    }
    const decision = decideRoles(view, defaultRoles);
    const pause = world.random.chance(0.2) ? world.random.between(0, 120_000) : 100;
    // The write goes out when it wakes, also when the agent was restarted meanwhile: requests fly on.
    world.at(world.now + pause, () => {
      if (board.k3s.serves(cluster)) this.#carryOut(board, cluster, decision);
    });
  }

  /** A kubelet that is up again writes its node: whoever decided before finds another version. */
  #turned(board: Board, up: boolean): void {
    const world = this.#world;
    this.#upSince.set(board, { up, since: world.now });
    const id = board.k3s.storeOf();
    if (!up || id === undefined || !world.clusters.ids.includes(id)) return;
    const store = world.clusters.get(id);
    const node = store.nodes.find((one) => one.name === board.k3s.name);
    if (node?.password !== board.k3s.password) return;
    const outcome = registerNode(store, node.name, node.password, node.server);
    if ('cluster' in outcome) world.clusters.put(outcome.cluster);
  }

  /** How long it has been up, in truth. */
  upFor(board: Board): number {
    const known = this.#upSince.get(board);
    return known?.up === true ? this.#world.now - known.since : 0;
  }

  #watchOf(board: Board, cluster: string) {
    const { version } = this.kept(cluster);
    let watch = this.#watches.get(board);
    if (watch === undefined || watch.life !== board.life) {
      watch = { life: board.life, seen: new Map(), version, at: this.#world.now };
      this.#watches.set(board, watch);
    }
    if (watch.version !== version) {
      watch.version = version;
      watch.at = this.#world.now;
    }
    return watch;
  }

  #view(board: Board, cluster: string, seen: Map<string, Watch>): ClusterView {
    const world = this.#world;
    const store = world.clusters.get(cluster);
    const kept = this.kept(cluster);
    const nodes = store.nodes.flatMap((node): NodeView[] => {
      // A clone has the name too: whichever of the two is up writes the node.
      const behind = world.boards.filter(({ k3s }) => k3s.name === node.name && k3s.storeOf() === cluster);
      const member = board.site.members.find((one) => one?.name === node.name);
      if (member === undefined) return [];
      const up = behind.filter((other) => this.#ready(board, other));
      const ready = up.length > 0;
      const etcd = store.members.find((one) => one.name === node.name);
      const server = etcd !== undefined || node.server;
      const state = `${node.uid} ${server} ${etcd?.voter === true} ${ready}`;
      if (seen.get(node.name)?.state !== state) seen.set(node.name, { state, since: world.now });
      return [
        {
          place: member.place,
          name: node.name,
          uid: String(node.uid),
          resourceVersion: String(node.resourceVersion),
          eligible: member.eligible && !member.denied,
          class: member.class,
          domain: member.place % 2 === 0 ? 'even' : 'odd',
          server,
          voter: etcd?.voter === true,
          ready,
          unchangedFor: world.now - (seen.get(node.name)?.since ?? world.now),
          fit: up.some((other) => !other.hung),
        },
      ];
    });
    return { nodes, quorum: true, journal: kept.journal, journalVersion: String(kept.version) };
  }

  /** As the API has it: what went away is noticed late. */
  #ready(from: Board, other: Board): boolean {
    if (other === from) return true;
    const up = other.powered && other.k3s.process === 'running' && !other.stolen;
    if (up) return this.#world.network.connects(from.index, other.index, this.#world.now);
    const known = this.#upSince.get(other);
    return known !== undefined && !known.up && this.#world.now - known.since < noticed;
  }

  #carryOut(board: Board, cluster: string, decision: Decision): void {
    const world = this.#world;
    const kept = this.kept(cluster);
    if (decision.kind === 'nothing') return;
    world.mark(board, `roles: ${decision.kind}`);
    world.note(board, `roles: ${JSON.stringify(decision)}`);
    if (decision.kind === 'journal') {
      if (decision.version !== String(kept.version)) {
        world.mark(board, 'roles: journal conflict');
        return;
      }
      if (decision.change.kind === 'begin') this.#began(board, cluster, decision.change.operation.kind);
      if (decision.change.kind === 'end') {
        world.mark(board, `roles: operation ${decision.change.outcome}`);
        if (decision.change.outcome === 'undone') kept.undoneAt = world.now;
      }
      this.#write(kept, applyChange(kept.journal, decision.change));
    } else if (decision.kind === 'promote') {
      for (const other of world.boards) {
        if (!decision.places.includes(other.place) || other.k3s.storeOf() !== cluster) continue;
        if (world.network.connects(board.index, other.index, world.now))
          other.k3s.roles.promote(cluster, decision.operation);
      }
    } else if (decision.kind === 'delete') {
      this.#delete(board, cluster, decision);
    }
  }

  #delete(
    board: Board,
    cluster: string,
    { name, uid, resourceVersion }: Decision & { kind: 'delete' },
  ): void {
    const world = this.#world;
    const reach = (one: string | undefined) => world.reaches(board, cluster, one);
    const store = world.clusters.get(cluster);
    const before = { uid: Number(uid), resourceVersion: Number(resourceVersion) };
    const outcome = deleteNode(store, name, before, reach);
    if ('refused' in outcome) {
      world.mark(board, `roles: delete ${outcome.refused}`);
      return;
    }
    world.clusters.put(outcome.cluster);
    world.onServerDeleted(board, cluster, name, hasQuorum(outcome.cluster, reach));
  }

  #began(board: Board, cluster: string, kind: 'grow' | 'replace'): void {
    const kept = this.kept(cluster);
    const mends = kind === 'replace' || votersOf(this.#world.clusters.get(cluster)).length % 2 === 0;
    const before = mends ? kept.undoneAt : kept.begunAt;
    this.#world.onOperation(
      board,
      kind,
      before === undefined ? Number.POSITIVE_INFINITY : this.#world.now - before - pauseBetween,
    );
    kept.begunAt = this.#world.now;
  }

  #write(kept: Kept, journal: Journal): void {
    kept.journal = journal;
    kept.version += 1;
  }
}

/** A device whose password is refused showed its key: its former node makes room, if nobody lives behind it. */
export function makeRoom(world: World, asker: Board, server: Board, cluster: string): void {
  const store = world.clusters.get(cluster);
  const node = store.nodes.find((one) => one.name === asker.k3s.name);
  const taken = world.boards.some(
    (board) => board !== asker && board.k3s.name === asker.k3s.name && board.k3s.process === 'running',
  );
  if (node === undefined || node.password === asker.k3s.password || taken) return;
  const reached = (name: string | undefined) => world.reaches(server, cluster, name);
  const outcome = deleteNode(store, node.name, { uid: node.uid }, reached);
  if ('refused' in outcome) return;
  world.mark(asker, 'k3s: room made for a device flashed again');
  world.clusters.put(outcome.cluster);
}
