// A whole simulated site in virtual time. The same scenario and seed give the same run, event for event.
import { sizeOf } from '../../firstboot/protocol/claims.ts';
import { speakerOf } from '../../firstboot/protocol/envelope.ts';
import type { Alarm } from '../../firstboot/protocol/events.ts';
import type { Message } from '../../firstboot/protocol/messages.ts';
import type { TransitionName } from '../../firstboot/protocol/phases.ts';
import type { Record } from '../../firstboot/protocol/record.ts';
import type { Site } from '../../firstboot/protocol/site.ts';
import type { ClusterId, Dossier, Identity, PublicKey } from '../../firstboot/protocol/terms.ts';
import { Board, honestDossier } from './board.ts';
import type { Checker } from './checkers/checker.ts';
import { Clusters } from './clusters.ts';
import { Memory } from './memory.ts';
import { Network } from './network.ts';
import { Queue } from './queue.ts';
import { Random } from './random.ts';
import { Reconcilers } from './reconcilers.ts';
import type { Scenario } from './schedule.ts';
import { keyOf } from './seals.ts';
import { siteFor } from './site.ts';
import { Stopwatch } from './stopwatch.ts';

interface Item {
  readonly board: Board | undefined;
  readonly life: number;
  readonly message: Message | undefined;
  readonly action: (() => void) | undefined;
}

export interface Violation {
  readonly promise: string;
  readonly at: number;
  readonly what: string;
}

export class World {
  /** Milliseconds since the start of the run. */
  now = 0;
  readonly scenario: Scenario;
  readonly random: Random;
  readonly network: Network;
  readonly clusters: Clusters;
  /** Where servers are promoted and replaced too. */
  readonly reconcilers: Reconcilers | undefined;
  readonly memory = new Memory();
  readonly boards: Board[] = [];
  readonly violations: Violation[] = [];
  readonly marks = new Map<string, number>();
  readonly alarms: { readonly board: Board; readonly alarm: Alarm; readonly about: string }[] = [];
  readonly timeline: string[] | undefined;
  /** Something happened after which the site may have converged. */
  moved = false;
  /** What a stranger on the LAN has heard, and whether it is replayed. */
  readonly tape: Message[] = [];
  recording = false;
  replaying = false;
  readonly stopwatch = new Stopwatch();
  datagrams = 0;
  /** Of every board that ever had power at the site; one of a claimed site that is flashed again comes with another. */
  readonly keys = new Set<PublicKey>();
  /** Handled so far. */
  events = 0;
  /** Events since time last moved: a run that does not move is a bug, and is ended. */
  #without = 0;
  /** Whose key signed a message; kept in claimed sites only. */
  readonly #signedBy = new WeakMap<Message, PublicKey>();
  readonly #queue = new Queue<Item>();
  readonly #held = new Map<Board, Item[]>();
  readonly #checkers: readonly Checker[];

  constructor(scenario: Scenario, checkers: readonly Checker[], withTimeline: boolean) {
    this.scenario = scenario;
    this.random = new Random(scenario.seed);
    this.network = new Network(this.random);
    this.network.spanningTree = scenario.spanningTree;
    this.clusters = new Clusters(this);
    this.#checkers = checkers;
    this.timeline = withTimeline ? [] : undefined;
    if (scenario.roles) this.reconcilers = new Reconcilers(this);
    const site = siteFor(scenario);
    for (let device = 1; device <= scenario.devices; device += 1)
      this.boards.push(new Board(this, this.boards.length, device, site));
  }

  /** The board at this place; of two, the first. */
  boardAt(place: number): Board | undefined {
    return this.boards.find((board) => board.place === place);
  }

  /** The board that schedules name so; of two with one stamp, the first. */
  device(device: number): Board | undefined {
    return this.boards.find((board) => board.device === device);
  }

  /**
   * Did the board at this place sign these words? Signatures of the model name their signer: read here without the
   * protocol's own functions. In a claimed site any board may have the place.
   */
  signed(place: number, words: string, signature: string): boolean {
    const [key = ''] = signature.split('|', 1);
    const known =
      this.boards[0]?.stamped.claimed === true ? this.keys.has(key as PublicKey) : key === keyOf(place);
    return known && signature.startsWith(`${key}|${words}|`);
  }

  /** More boards came to a claimed site than it has places: the weaker promise ends there. */
  get overcrowded(): boolean {
    const site = this.boards[0]?.stamped;
    return site?.claimed === true && this.keys.size > sizeOf(site);
  }

  /** What the envelope looks at: the key of the place, or the one that the message itself names. */
  signedRightly(message: Message, site: Site): boolean {
    const key = speakerOf(message, site);
    return key !== undefined && key === this.#signedBy.get(message);
  }

  /** Runs until the time, or until `enough` says so. */
  run(until: number, enough?: () => boolean): void {
    const queue = this.#queue;
    while (queue.nextAt() <= until) {
      if (queue.nextAt() > this.now) this.#without = 0;
      this.now = queue.nextAt();
      this.#without += 1;
      this.events += 1;
      if (this.#without > 100_000) throw new Error(`time stands still at ${this.now} ms`);
      const item = queue.pop() as Item;
      const { board } = item;
      if (board !== undefined) {
        if (board.life !== item.life) continue;
        if (board.pausedUntil > this.now) {
          this.#hold(board, item);
          continue;
        }
      }
      if (item.action !== undefined) item.action();
      else if (item.message !== undefined) board?.receive(item.message);
      else board?.wake();
      if (this.violations.length > 0) return;
      if (this.moved && enough !== undefined) {
        this.moved = false;
        if (enough()) return;
      }
    }
    this.now = until;
  }

  /** What comes to a paused agent is handled after, in its order. */
  #hold(board: Board, item: Item): void {
    const held = this.#held.get(board);
    if (held !== undefined) {
      held.push(item);
      return;
    }
    this.#held.set(board, [item]);
    this.at(board.pausedUntil, () => this.release(board));
  }

  /** The pause is over, unless another has begun. */
  release(board: Board): void {
    if (board.pausedUntil > this.now) {
      this.at(board.pausedUntil, () => this.release(board));
      return;
    }
    for (const item of this.#held.get(board) ?? []) this.#queue.push(this.now, item);
    this.#held.delete(board);
  }

  at(time: number, action: () => void): void {
    this.#queue.push(time, { board: undefined, life: 0, message: undefined, action });
  }

  /** Later on a board, unless its agent ends before. */
  later(delay: number, board: Board, action: () => void): void {
    this.#queue.push(this.now + delay, { board, life: board.life, message: undefined, action });
  }

  wakeAt(time: number, board: Board): void {
    this.#queue.push(time, { board, life: board.life, message: undefined, action: undefined });
  }

  send(from: Board, message: Message): void {
    this.memory.sent(from, message);
    for (const checker of this.#checkers) checker.sent?.(this, from, message);
    if (this.recording && this.tape.length < 500) this.tape.push(message);
    this.datagrams += 1;
    this.transmit(from.index, message);
  }

  transmit(from: number, message: Message): void {
    const { network, now } = this;
    const speaker = this.boards[from];
    if (speaker?.stamped.claimed === true) this.#signedBy.set(message, speaker.key);
    for (const board of this.boards) {
      if (board.index === from || (message.to !== 0 && message.to !== board.place)) continue;
      if (board.stolen) this.at(now + 5, () => this.onHeardByThief(board, message));
      if (!board.powered || !network.carries(from, board.index, now)) continue;
      network.deliver((delay) => {
        this.#queue.push(now + delay, { board, life: board.life, message, action: undefined });
      });
    }
  }

  /** Hook for people.ts: a thief answers with a stolen key. */
  onHeardByThief: (thief: Board, message: Message) => void = () => {};
  /** What a peer hands out over TLS; people.ts makes thieves lie. */
  dossierFrom: (peer: Board) => Dossier | undefined = honestDossier;

  /** Whether the etcd member of this name is up, as far as `from` can tell. */
  reaches(from: Board, cluster: string, name: string | undefined): boolean {
    return this.boards.some(
      (board) =>
        board.k3s.name === name &&
        board.powered &&
        board.k3s.disk.wal?.cluster === cluster &&
        board.k3s.process !== 'stopped' &&
        board.k3s.process !== 'hung' &&
        (board === from || this.network.connects(from.index, board.index, this.now)),
    );
  }

  onServerDeleted(by: Board, cluster: string, name: string, quorum: boolean): void {
    this.note(by, `deletes the node ${name}`);
    for (const checker of this.#checkers) checker.deleted?.(this, by, cluster, name, quorum);
  }

  /** `slack`: milliseconds beyond the pause that the budget asks for. */
  onOperation(by: Board, kind: 'grow' | 'replace', slack: number): void {
    this.mark(by, `roles: begins to ${kind}`);
    for (const checker of this.#checkers) checker.operation?.(this, by, kind, slack);
  }

  mark(board: Board, rule: string): void {
    this.marks.set(rule, (this.marks.get(rule) ?? 0) + 1);
    if (this.timeline !== undefined && rule !== 'discovery: copy dropped') this.note(board, rule);
  }

  note(board: Board | undefined, text: string): void {
    const who =
      board === undefined
        ? ''
        : `device ${board.device}${board.index >= this.scenario.devices ? ' (clone)' : ''}${board.stamped.claimed ? ` at ${board.place}` : ''}: `;
    this.timeline?.push(`${(this.now / 1000).toFixed(3).padStart(10)} s  ${who}${text}`);
  }

  violate(promise: string, what: string): void {
    this.violations.push({ promise, at: this.now / 1000, what });
    this.note(undefined, `VIOLATION of '${promise}': ${what}`);
  }

  onPersisted(board: Board, record: Record): void {
    this.memory.persisted(board, record);
    if (record.decided !== undefined)
      this.stopwatch.onDecided(this, this.boardAt(record.decided.value.founder));
    for (const checker of this.#checkers) checker.persisted?.(this, board, record);
  }

  onEntered(board: Board, transition: TransitionName): void {
    this.moved = true;
    this.mark(board, `phase: ${transition}`);
  }

  onAlarm(board: Board, alarm: Alarm, about: string): void {
    this.moved = true;
    this.alarms.push({ board, alarm, about });
    this.mark(board, `alarm: ${alarm}`);
    this.note(board, `alarm ${alarm}: ${about}`);
  }

  onFounding(board: Board, identity: Identity): void {
    this.note(board, `starts k3s as founder of ${identity.cluster}`);
    this.stopwatch.onFounding(this, board);
    for (const checker of this.#checkers) checker.founding?.(this, board, identity);
  }

  onRetired(board: Board, cluster: ClusterId): void {
    this.note(board, `sets ${cluster} aside`);
    for (const checker of this.#checkers) checker.retired?.(this, board, cluster);
  }

  /** A person flashed it: what it held is that person's doing. */
  onWiped(board: Board): void {
    this.memory.wiped(board);
    for (const checker of this.#checkers) checker.wiped?.(this, board);
  }

  onStarted(): void {
    for (const checker of this.#checkers) checker.started?.(this);
  }

  onEnded(): void {
    for (const checker of this.#checkers) checker.ended?.(this);
  }
}
