// The store of one server: its copy of the log on disk, the wire to the others, and the state they agree on.
import { EventEmitter } from 'node:events';
import { type Identity, LogDisk } from './disk.ts';
import type { Envelope, Message, Stored } from './messages.ts';
import { resume } from './model.ts';
import { paced, pause } from './pace.ts';
import { Replica } from './replica.ts';
import type { Admission, Answer, Asked, Decide } from './requests.ts';
import {
  apply,
  type Happening,
  isObject,
  type Json,
  type JsonObject,
  type State,
  textAt,
  type Value,
  viewOf,
} from './state.ts';
import type { Wire } from './wire.ts';

type Said = Message<Value, State>;
type Heard =
  | { readonly cluster: string; readonly to: number; readonly address: string; readonly message: Said }
  | { readonly cluster: string; readonly gone: number };

/** After so many entries the log is replaced by a snapshot; so many happenings a watch may go back. */
const [longLog, rememberedHappenings] = [400, 2_000];

export class Etcd extends EventEmitter<{ happened: [readonly Happening[]] }> {
  readonly identity: Identity;
  readonly state: State;
  /** Happenings that a watch may still ask for, oldest first. */
  readonly history: Happening[] = [];
  /** Set when the others say that this member was removed: nothing more happens here. */
  hung = false;
  readonly #replica: Replica<Value, State>;
  readonly #disk: LogDisk;
  readonly #wire: Wire;
  readonly #decide: Decide;
  readonly #address: string;
  #applied: number;
  #turn: Promise<unknown> = Promise.resolve();
  #ledTerm = 0;
  /** Leader: index of its first entry of this term; 0 before there is one. */
  #ownTermFrom = 0;

  private constructor(
    disk: LogDisk,
    wire: Wire,
    decide: Decide,
    address: string,
    kept: { identity: Identity; stored: Stored<Value>; state: State },
  ) {
    super();
    this.setMaxListeners(0);
    this.#disk = disk;
    this.#wire = wire;
    this.#decide = decide;
    this.#address = address;
    this.identity = kept.identity;
    this.state = kept.state;
    this.#applied = kept.stored.base.index;
    const now = performance.now();
    this.#replica = new Replica(kept.identity.member, kept.stored, kept.state.roll.members, now, Math.random);
    this.#takeRoll();
  }

  /** Begins (`fresh`) or goes on with the log in a folder, and speaks with the others from then on. */
  static async start(
    folder: string,
    wire: Wire,
    decide: Decide,
    address: string,
    fresh?: { identity: Identity; state: State },
  ): Promise<Etcd> {
    const disk = new LogDisk(folder);
    if (fresh !== undefined) {
      const base = { index: fresh.state.revision, term: 0 };
      disk.replace(fresh.identity, { term: 0, vote: undefined, base, entries: [] }, fresh.state);
    }
    const kept = disk.read();
    if (kept === undefined) throw new Error(`no log in ${folder}`);
    const etcd = new Etcd(disk, wire, decide, address, kept);
    disk.save(kept.stored);
    await wire.listen(
      address,
      (body) => etcd.#hear(body),
      (body) => etcd.#asked(body),
    );
    setInterval(() => etcd.#step((now) => etcd.#replica.tick(now)), 100);
    return etcd;
  }

  get leads(): boolean {
    return this.#replica.role === 'leader' && !this.hung;
  }

  get hasLeader(): boolean {
    return this.#replica.leader !== undefined && !this.hung;
  }

  get isVoter(): boolean {
    return this.state.roll.members.some((member) => member.id === this.identity.member && member.voter);
  }

  /** Leader: a member answered lately; how far its disk is behind. */
  alive(id: number): boolean {
    return this.#replica.alive(id, performance.now());
  }

  behind(id: number): number {
    return this.#replica.last - this.#replica.matchOf(id);
  }

  /** Asks the leader, wherever it is; when the answer comes, what it changed is readable here. */
  async request(request: JsonObject): Promise<Json> {
    const { reply, index } = this.leads
      ? await this.#carryOut(request)
      : await this.#askLeader({ write: request });
    await this.#until(() => this.#applied >= index);
    return reply;
  }

  /** Everything acknowledged before this call is readable here when it resolves. */
  async barrier(): Promise<void> {
    if (this.leads && this.#ledTerm === this.#replica.stored.term) return;
    const { index } = await this.#askLeader({});
    await this.#until(() => this.#applied >= index);
  }

  /** Leader only: a change of its own, decided on the state as everything before left it. */
  change(decide: (state: State) => Value | undefined): Promise<number> {
    return this.#inTurn(async () => {
      await this.#until(() => this.#replica.commit === this.#replica.last);
      const value = decide(this.state);
      if (value === undefined) return this.#applied;
      if (!this.leads) throw new Error('etcdserver: no leader');
      let index = 0;
      const { term } = this.#replica.stored;
      this.#step((now) => {
        const proposed = this.#replica.propose(value, now);
        index = proposed.index;
        return proposed.messages;
      });
      await this.#until(() => this.#applied >= index);
      // Another leader may have put its own entry at this place.
      if (this.#replica.stored.term !== term) throw new Error('etcdserver: leader changed');
      return index;
    });
  }

  async #carryOut(request: JsonObject): Promise<Answer> {
    const answered: { reply: Json } = { reply: null };
    const index = await this.change((state) => {
      const decided = this.#decide(state, request, Date.now());
      answered.reply = decided.reply;
      return decided.value;
    });
    const { reply } = answered;
    // The object as it is now, with the version that the entry gave it.
    const key = isObject(reply) ? textAt(reply, 'key') : undefined;
    const object = key === undefined ? undefined : this.state.objects[key];
    return { reply: object !== undefined && isObject(reply) ? { ...reply, body: object } : reply, index };
  }

  async #asked(body: unknown): Promise<Answer | Admission> {
    const asked = body as Asked;
    if (asked.member !== undefined) return await this.#admit(asked.member);
    if (!this.leads) throw new Error('etcdserver: no leader');
    if (asked.write !== undefined) return await this.#carryOut(asked.write);
    if (this.#ledTerm !== this.#replica.stored.term) throw new Error('etcdserver: no leader');
    return { reply: null, index: this.#replica.commit };
  }

  async #admit({ node, address }: { node: string; address: string }): Promise<Admission> {
    const reply = await this.request({ kind: 'member', name: node, address });
    const answer = isObject(reply) ? reply : {};
    const refused = textAt(answer, 'refused');
    if (refused !== undefined) return { refused };
    const identity = { cluster: this.identity.cluster, member: Number(answer['id']) };
    // The joiner begins with nothing but who the members are; the leader sends it the rest.
    const state: State = { cluster: identity.cluster, revision: 0, objects: {}, roll: this.state.roll };
    return { identity, state };
  }

  async #askLeader(body: Asked): Promise<Answer> {
    await this.#until(() => this.#replica.leader !== undefined);
    if (this.leads) return { reply: null, index: this.#replica.commit };
    const leader = this.state.roll.members.find((member) => member.id === this.#replica.leader);
    if (leader === undefined) throw new Error('etcdserver: no leader');
    return (await this.#wire.ask(leader.address, body)) as Answer;
  }

  #hear(body: unknown): void {
    const heard = body as Heard;
    if (heard.cluster !== this.identity.cluster || this.hung) return;
    if ('gone' in heard) {
      if (heard.gone !== this.identity.member) return;
      this.hung = true;
      process.stderr.write('the member has been permanently removed from the cluster\n');
      return;
    }
    const { from } = heard.message;
    const view = viewOf(this.state, '');
    if (resume(view, from, () => true).startsWith('hangs')) {
      this.#wire.say(heard.address, { cluster: this.identity.cluster, gone: from } satisfies Heard);
      return;
    }
    if (heard.to === this.identity.member) this.#step((now) => this.#replica.handle(heard.message, now));
  }

  /** One step of the replica: to disk, then said, then applied. */
  #step(take: (now: number) => Envelope<Value, State>[]): void {
    if (this.hung) return;
    let envelopes = take(performance.now());
    if (this.#replica.role === 'leader' && this.#ledTerm !== this.#replica.stored.term) {
      // Entries of earlier terms count as committed with the first one of its own.
      if (this.#ownTermFrom > 0 && this.#replica.commit >= this.#ownTermFrom) {
        this.#ledTerm = this.#replica.stored.term;
      } else if (this.#ownTermFrom === 0) {
        const proposed = this.#replica.propose({ changes: [] }, performance.now());
        this.#ownTermFrom = proposed.index;
        envelopes = [...envelopes, ...proposed.messages];
      }
    }
    if (this.#replica.role !== 'leader') this.#ownTermFrom = 0;
    this.#takeSnapshot();
    this.#takeRoll();
    this.#disk.save(this.#replica.stored);
    this.#replica.settled();
    this.#applyCommitted();
    for (const { to, message } of envelopes) this.#say(to, message);
  }

  #say(to: number, message: Said): void {
    const address = this.#roll().find((member) => member.id === to)?.address;
    if (address === undefined) return;
    const said: Said =
      message.kind === 'behind'
        ? { ...message, kind: 'snapshot', base: this.#replica.committed(), state: this.state }
        : message;
    const { cluster } = this.identity;
    this.#wire.say(address, { cluster, to, address: this.#address, message: said } satisfies Heard);
  }

  #takeSnapshot(): void {
    const state = this.#replica.received;
    if (state === undefined) return;
    this.#replica.received = undefined;
    Object.assign(this.state, state);
    this.history.length = 0;
    this.#applied = this.#replica.commit;
    this.#disk.replace(this.identity, this.#replica.stored, this.state);
  }

  /** Members as of the newest entry. */
  #roll(): State['roll']['members'] {
    const newest = this.#replica.stored.entries.findLast((entry) => entry.value.roll !== undefined);
    return newest !== undefined && newest.index > this.#applied
      ? (newest.value.roll?.members ?? [])
      : this.state.roll.members;
  }

  #takeRoll(): void {
    this.#replica.setPeers(this.#roll());
  }

  #applyCommitted(): void {
    const due = this.#replica.stored.entries.filter(
      (entry) => entry.index > this.#applied && entry.index <= this.#replica.commit,
    );
    for (const entry of due) {
      const happened = apply(this.state, entry.index, entry.value);
      this.#applied = entry.index;
      this.history.push(...happened);
      this.emit('happened', happened);
    }
    this.history.splice(0, this.history.length - rememberedHappenings);
    if (this.#replica.stored.entries.length > longLog && this.#applied === this.#replica.commit) {
      this.#replica.compact();
      this.#disk.replace(this.identity, this.#replica.stored, this.state);
    }
  }

  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #until(reached: () => boolean): Promise<void> {
    const end = performance.now() + Math.max(7_000, paced('learner'));
    while (!reached()) {
      if (performance.now() > end || this.hung) throw new Error('etcdserver: request timed out');
      await pause(5);
    }
  }
}
