// Small worlds in which boards are flashed: a few electors, each the founder of a cluster that nobody decided, whose words
// come in any order, late, or never. Without a flash exhaust.ts looks at every order; here an order is told, or drawn.
import { unknownPeer } from '../../firstboot/protocol/discovery.ts';
import type { Effect, Event } from '../../firstboot/protocol/events.ts';
import type { Body, Message } from '../../firstboot/protocol/messages.ts';
import { freshRecord, type Record } from '../../firstboot/protocol/record.ts';
import type { State, Timers } from '../../firstboot/protocol/state.ts';
import { start, step } from '../../firstboot/protocol/step.ts';
import {
  type BootId,
  type Certificate,
  type ClusterId,
  type Hash,
  type Identity,
  type Incarnation,
  never,
  sameIdentity,
} from '../../firstboot/protocol/terms.ts';
import type { Board } from './board.ts';
import { Memory } from './memory.ts';
import { Random } from './random.ts';
import { scheduleSchema } from './schedule.ts';
import { World } from './world.ts';

const idle: Timers = {
  hello: never,
  settle: never,
  propose: never,
  watch: never,
  recover: never,
  disk: never,
};
const now = 1_000;

interface Flying {
  readonly to: number;
  readonly message: Message;
}

/** Boards are named by their places, from 1. */
export class Walk {
  readonly memory = new Memory();
  /** Everything that was ever decided, on any disk. */
  readonly decisions: Certificate[] = [];
  readonly places: readonly number[];
  flying: Flying[] = [];
  readonly #world: World;
  readonly #states = new Map<number, State>();
  #count = 0;

  constructor(electors: number) {
    this.#world = new World(scheduleSchema.parse({ version: 1, devices: electors, schedule: [] }), [], false);
    this.places = this.#world.boards.map(({ device }) => device);
    for (const place of this.places) this.#begin(place);
  }

  state(place: number): State {
    return this.#states.get(place) ?? this.#begin(place);
  }

  /** Two decisions that are not one identity, and that nothing excuses. */
  contradiction(): readonly [Certificate, Certificate] | undefined {
    for (const one of this.decisions) {
      for (const other of this.decisions) {
        if (sameIdentity(one.value, other.value) || this.memory.excuses(this.#world, one, other)) continue;
        return [one, other];
      }
    }
    return undefined;
  }

  flashed(place: number): void {
    this.memory.wiped(this.#board(place));
    this.#begin(place);
  }

  /** The other's hello comes, and its boot has answered before. */
  hears(place: number, other: number): void {
    this.knows(place, other);
    const [hello] = this.#tick(other, { hello: 0 }).flatMap((effect) => {
      return effect.kind === 'send' && effect.message.body.kind === 'hello' ? [effect.message] : [];
    });
    if (hello !== undefined)
      this.#step(place, { kind: 'message', now, random: this.#next(), message: hello });
  }

  /** It has proven the other's boot. */
  knows(place: number, other: number): void {
    const state = this.state(place);
    const { boot, place: named } = this.state(other);
    if (state.peers[named]?.boot === boot) return;
    const peers = state.peers.slice();
    peers[named] = { ...unknownPeer(named), boot };
    this.#states.set(place, { ...state, peers });
  }

  /** A ballot of its own. */
  begins(place: number): void {
    const state = this.state(place);
    const since = { ...state.since, phase: -never };
    this.#states.set(place, { ...state, proposal: undefined, since });
    this.repeats(place);
  }

  /** Says again where its ballot stands, or begins one. */
  repeats(place: number): void {
    this.#tick(place, { propose: 0 });
  }

  /** One that noticed that it forgot asks the others. */
  asks(place: number): void {
    this.#tick(place, { recover: 0 });
  }

  /** The oldest word of this kind that the other said to it comes, or is lost. */
  gets(place: number, kind: Body['kind'], from: number, lost = false): void {
    const one = this.flying.find(({ to, message }) => {
      return to === place && message.from === from && message.body.kind === kind;
    });
    if (one !== undefined) this.arrives(one, lost);
  }

  arrives(one: Flying, lost = false): void {
    this.flying = this.flying.filter((other) => other !== one);
    const { to, message } = one;
    if (!lost) this.#step(to, { kind: 'message', now, random: this.#next(), message });
  }

  #board(place: number): Board {
    const board = this.#world.device(place);
    if (board === undefined) throw new RangeError(`no place ${place}`);
    return board;
  }

  /** A number that was not there before. */
  #next(): number {
    this.#count += 1;
    return this.#count * 7_919;
  }

  #begin(place: number): State {
    const board = this.#board(place);
    const incarnation = this.#next() as Incarnation;
    const cluster = incarnation.toString(16).padStart(12, '0') as ClusterId;
    const identity: Identity = { cluster, ca: 'c'.repeat(64) as Hash, founder: board.place };
    const record: Record = {
      ...freshRecord(board.stamped, place - 1, incarnation),
      membership: { identity, role: 'founder', ready: true, shared: false },
    };
    const from = {
      now: 0,
      random: this.#next(),
      site: board.stamped,
      place: board.place,
      incarnation,
      record,
    };
    const boot = this.#next() as BootId;
    const { state } = start({ ...from, boot, store: cluster, capable: true }, board.seals);
    const begun: State = { ...state, asked: record, durable: record, due: idle };
    this.#states.set(place, begun);
    return begun;
  }

  #tick(place: number, due: Partial<Timers>): readonly Effect[] {
    const state = this.state(place);
    this.#states.set(place, { ...state, due: { ...idle, ...due } });
    return this.#step(place, { kind: 'tick', now, random: this.#next() });
  }

  #step(place: number, event: Event): readonly Effect[] {
    const board = this.#board(place);
    const { state, effects } = step(this.state(place), event, board.seals);
    let { durable } = state;
    for (const effect of effects) {
      if (effect.kind === 'persist') {
        durable = effect.record;
        this.memory.persisted(board, durable);
        if (durable.decided !== undefined && !this.decisions.includes(durable.decided))
          this.decisions.push(durable.decided);
      } else if (effect.kind === 'send' && effect.message.body.kind !== 'hello') {
        this.memory.sent(board, effect.message);
        const { message } = effect;
        for (const to of this.places)
          if (to !== place && (message.to === 0 || message.to === to)) this.flying.push({ to, message });
      }
    }
    this.#states.set(place, { ...state, durable, due: idle });
    return effects;
  }
}

/** A walk in which anything may come next. */
export function drawWalk(seed: number, electors: number, flashes: number, steps: number): Walk {
  const random = new Random(seed);
  const walk = new Walk(electors);
  const ballots = new Map(walk.places.map((place) => [place, 3]));
  let left = flashes;
  for (let count = 0; count < steps; count += 1) {
    const what = random.unit();
    const place = random.pick(walk.places);
    if (what < 0.62) {
      const recent = random.chance(0.5) ? walk.flying.slice(-6) : walk.flying;
      if (recent.length > 0) walk.arrives(random.pick(recent), random.chance(0.15));
    } else if (what < 0.74) {
      const other = random.pick(walk.places);
      if (other !== place) walk.hears(place, other);
    } else if (what < 0.84) {
      const { record, proposal } = walk.state(place);
      if (record.decided !== undefined) continue;
      const more = ballots.get(place) ?? 0;
      if (proposal !== undefined && random.chance(0.7)) walk.repeats(place);
      else if (more > 0) {
        ballots.set(place, more - 1);
        walk.begins(place);
      }
    } else if (what < 0.92) {
      if (walk.state(place).record.amnesiac) walk.asks(place);
    } else if (what < 0.94 && left > 0 && count > 10) {
      left -= 1;
      ballots.set(place, 3);
      walk.flashed(place);
    }
  }
  return walk;
}
