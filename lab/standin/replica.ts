// One copy of the stand-in's log: who leads, what a majority has on disk. Pure: messages and time in, messages out;
// whoever drives it writes `stored` to the disk before it sends a message. What is committed here was on the disks of a
// majority of voters. The rules are Raft's (terms, one vote a term, an entry follows the one before it), the smallest set
// of them; members change one at a time, with the entry that says so.

import type { Envelope, Message, Peer, Stored } from './messages.ts';

/** Milliseconds: a leader speaks; without word of one, the wait before a candidate asks (drawn up to twice of it). */
const heartbeat = 300;
const patience = 1_500;

export class Replica<T, S> {
  readonly id: number;
  readonly stored: Stored<T>;
  role: 'follower' | 'candidate' | 'leader' = 'follower';
  leader: number | undefined;
  commit: number;
  /** A snapshot came that stands for all up to `stored.base`; whoever drives takes it and clears it. */
  received: S | undefined;
  #peers: readonly Peer[];
  #dueAt: number;
  #heardAt = Number.NEGATIVE_INFINITY;
  #votes = new Set<number>();
  #probing = false;
  readonly #next = new Map<number, number>();
  readonly #match = new Map<number, number>();
  readonly #answeredAt = new Map<number, number>();
  readonly #draw: () => number;

  /** `draw` gives numbers from 0 to 1; `commit` is what the snapshot holds. */
  constructor(id: number, stored: Stored<T>, peers: readonly Peer[], now: number, draw: () => number) {
    this.id = id;
    this.stored = stored;
    this.commit = stored.base.index;
    this.#peers = peers;
    this.#draw = draw;
    this.#dueAt = now + patience * draw();
  }

  get last(): number {
    return this.stored.entries.at(-1)?.index ?? this.stored.base.index;
  }

  /** Members as of the newest entry, whether it is committed or not. */
  setPeers(peers: readonly Peer[]): void {
    this.#peers = peers;
  }

  /** Leader: how far a peer's disk is known to be. */
  matchOf(id: number): number {
    return id === this.id ? this.last : (this.#match.get(id) ?? 0);
  }

  /** Leader: a peer answered lately. */
  alive(id: number, now: number): boolean {
    return id === this.id || now - (this.#answeredAt.get(id) ?? Number.NEGATIVE_INFINITY) < patience;
  }

  /** Leader: takes a value into its log. Committed when `commit` reaches the index it gives back. */
  propose(value: T, now: number): { index: number; messages: Envelope<T, S>[] } {
    const index = this.last + 1;
    this.stored.entries.push({ index, term: this.stored.term, value });
    return { index, messages: this.#speak(now) };
  }

  /** Call when what was stored is on this disk: a leader alone commits by it. */
  settled(): void {
    if (this.role === 'leader') this.#commitByMajority();
  }

  /** Everything up to the commit is in a snapshot on disk: the entries may go. */
  compact(): void {
    const base = this.committed();
    this.stored.entries = this.stored.entries.filter((entry) => entry.index > base.index);
    this.stored.base = base;
  }

  /** What a snapshot of the committed state stands for. */
  committed(): { readonly index: number; readonly term: number } {
    return { index: this.commit, term: this.#termAt(this.commit) ?? 0 };
  }

  tick(now: number): Envelope<T, S>[] {
    if (this.role === 'leader') {
      const voters = this.#peers.filter((peer) => peer.voter);
      if (voters.filter((voter) => this.alive(voter.id, now)).length * 2 <= voters.length) {
        this.#follow(this.stored.term, undefined, now);
        return [];
      }
      return now >= this.#dueAt ? this.#speak(now) : [];
    }
    if (now < this.#dueAt || !this.#peers.some((peer) => peer.id === this.id && peer.voter)) return [];
    return this.#campaign(true, now);
  }

  handle(message: Message<T, S>, now: number): Envelope<T, S>[] {
    if (message.kind === 'behind') return [];
    if (message.kind === 'ask') return this.#asked(message, now);
    if (message.kind === 'vote' && message.probe) return this.#counted(message, now);
    if (message.term > this.stored.term) this.#follow(message.term, undefined, now);
    if (message.kind === 'vote') return message.term < this.stored.term ? [] : this.#counted(message, now);
    if (message.kind === 'match') return this.#matched(message, now);
    const answer = (ok: boolean, index: number): Envelope<T, S>[] => [
      {
        to: message.from,
        message: { kind: 'match', from: this.id, term: this.stored.term, ok, index },
      },
    ];
    if (message.term < this.stored.term) return answer(false, this.last);
    this.#follow(message.term, message.from, now);
    this.#heardAt = now;
    if (message.kind === 'snapshot') {
      if (message.base.index > this.commit) {
        const known = this.#termAt(message.base.index) === message.base.term;
        this.stored.entries = known
          ? this.stored.entries.filter((entry) => entry.index > message.base.index)
          : [];
        this.stored.base = message.base;
        this.commit = message.base.index;
        this.received = message.state;
      }
      return answer(true, this.commit);
    }
    const { previous } = message;
    if (previous.index > this.last) return answer(false, this.last);
    if (previous.index > this.stored.base.index && this.#termAt(previous.index) !== previous.term) {
      return answer(false, previous.index - 1);
    }
    for (const entry of message.entries) {
      if (entry.index <= this.stored.base.index || this.#termAt(entry.index) === entry.term) continue;
      this.stored.entries = this.stored.entries.filter((own) => own.index < entry.index);
      this.stored.entries.push(entry);
    }
    const known = message.entries.at(-1)?.index ?? previous.index;
    this.commit = Math.max(this.commit, Math.min(message.commit, known));
    return answer(true, known);
  }

  #campaign(probe: boolean, now: number): Envelope<T, S>[] {
    this.role = 'candidate';
    this.leader = undefined;
    this.#probing = probe;
    this.#dueAt = now + patience * (1 + this.#draw());
    if (!probe) {
      this.stored.term += 1;
      this.stored.vote = this.id;
    }
    this.#votes = new Set([this.id]);
    if (this.#hasMajority(this.#votes)) return probe ? this.#campaign(false, now) : this.#lead(now);
    const term = this.stored.term + (probe ? 1 : 0);
    const lastTerm = this.#termAt(this.last) ?? 0;
    return this.#others()
      .filter((peer) => peer.voter)
      .map((peer) => ({
        to: peer.id,
        message: { kind: 'ask', from: this.id, term, last: this.last, lastTerm, probe },
      }));
  }

  #asked(ask: Message<T, S> & { kind: 'ask' }, now: number): Envelope<T, S>[] {
    // Whoever hears a leader does not help to unseat it.
    const content = this.role === 'leader' || now - this.#heardAt < patience;
    const ownTerm = this.#termAt(this.last) ?? 0;
    const upToDate = ask.lastTerm > ownTerm || (ask.lastTerm === ownTerm && ask.last >= this.last);
    let granted = !content && upToDate && ask.term > this.stored.term;
    if (!ask.probe && !content) {
      if (ask.term > this.stored.term) this.#follow(ask.term, undefined, now);
      const free = this.stored.vote === undefined || this.stored.vote === ask.from;
      granted = ask.term === this.stored.term && upToDate && free && this.role === 'follower';
      if (granted) {
        this.stored.vote = ask.from;
        this.#dueAt = now + patience * (1 + this.#draw());
      }
    }
    const term = ask.probe ? ask.term : this.stored.term;
    return [{ to: ask.from, message: { kind: 'vote', from: this.id, term, granted, probe: ask.probe } }];
  }

  #counted(vote: Message<T, S> & { kind: 'vote' }, now: number): Envelope<T, S>[] {
    const asked = this.stored.term + (this.#probing ? 1 : 0);
    if (this.role !== 'candidate' || vote.probe !== this.#probing || vote.term !== asked || !vote.granted)
      return [];
    this.#votes.add(vote.from);
    if (!this.#hasMajority(this.#votes)) return [];
    return this.#probing ? this.#campaign(false, now) : this.#lead(now);
  }

  #lead(now: number): Envelope<T, S>[] {
    this.role = 'leader';
    this.leader = this.id;
    this.#next.clear();
    this.#match.clear();
    this.#answeredAt.clear();
    for (const peer of this.#others()) {
      this.#next.set(peer.id, this.last + 1);
      this.#answeredAt.set(peer.id, now);
    }
    return [];
  }

  #matched(answer: Message<T, S> & { kind: 'match' }, now: number): Envelope<T, S>[] {
    if (this.role !== 'leader' || answer.term !== this.stored.term) return [];
    this.#answeredAt.set(answer.from, now);
    const next = this.#next.get(answer.from) ?? this.last + 1;
    if (answer.ok) {
      this.#match.set(answer.from, Math.max(this.#match.get(answer.from) ?? 0, answer.index));
      this.#next.set(answer.from, Math.max(next, answer.index + 1));
      this.#commitByMajority();
      return (this.#next.get(answer.from) ?? 0) <= this.last ? [this.#appendTo(answer.from)] : [];
    }
    this.#next.set(answer.from, Math.max(1, Math.min(next - 1, answer.index + 1)));
    return [this.#appendTo(answer.from)];
  }

  #commitByMajority(): void {
    const voters = this.#peers.filter((peer) => peer.voter);
    for (let index = this.last; index > this.commit && this.#termAt(index) === this.stored.term; index -= 1) {
      if (voters.filter((voter) => this.matchOf(voter.id) >= index).length * 2 > voters.length) {
        this.commit = index;
        return;
      }
    }
  }

  /** A peer that lacks what a snapshot replaced gets `behind`: the driver sends it the state in its place. */
  #appendTo(to: number): Envelope<T, S> {
    const next = this.#next.get(to) ?? this.last + 1;
    const { term } = this.stored;
    if (next <= this.stored.base.index) return { to, message: { kind: 'behind', from: this.id, term } };
    const previous = { index: next - 1, term: this.#termAt(next - 1) ?? 0 };
    const entries = this.stored.entries.filter((entry) => entry.index >= next).slice(0, 200);
    return { to, message: { kind: 'append', from: this.id, term, previous, entries, commit: this.commit } };
  }

  #speak(now: number): Envelope<T, S>[] {
    this.#dueAt = now + heartbeat;
    return this.#others().map((peer) => this.#appendTo(peer.id));
  }

  #follow(term: number, leader: number | undefined, now: number): void {
    if (term > this.stored.term) {
      this.stored.term = term;
      this.stored.vote = undefined;
    }
    this.role = 'follower';
    this.leader = leader;
    this.#dueAt = now + patience * (1 + this.#draw());
  }

  #termAt(index: number): number | undefined {
    if (index === this.stored.base.index) return this.stored.base.term;
    return this.stored.entries[index - this.stored.base.index - 1]?.term;
  }

  #others(): readonly Peer[] {
    return this.#peers.filter((peer) => peer.id !== this.id);
  }

  #hasMajority(ids: ReadonlySet<number>): boolean {
    const voters = this.#peers.filter((peer) => peer.voter);
    return voters.filter((voter) => ids.has(voter.id)).length * 2 > voters.length;
  }
}
