// One device of the simulated site: the protocol's state machine, and the rim that does what it asks for.

import type { Effect, Event } from '../../firstboot/protocol/events.ts';
import { dossierOf } from '../../firstboot/protocol/generations.ts';
import type { Message } from '../../firstboot/protocol/messages.ts';
import type { Signatures } from '../../firstboot/protocol/signatures.ts';
import { nowhere, type Site } from '../../firstboot/protocol/site.ts';
import { type State, wakeAt } from '../../firstboot/protocol/state.ts';
import { start, step } from '../../firstboot/protocol/step.ts';
import type { BootId, Incarnation, PublicKey } from '../../firstboot/protocol/terms.ts';
import type { Place } from '../../formats/roster.ts';
import { RecordDisk } from './disk.ts';
import { carryOut } from './effects.ts';
import { K3s } from './k3s.ts';
import { keyOf, sealsOf } from './seals.ts';
import type { World } from './world.ts';

/** An event without the time and the random bits that the rim adds. */
export type Happening = Event extends infer E ? (E extends Event ? Omit<E, 'now' | 'random'> : never) : never;

export class Board {
  readonly index: number;
  /** What schedules call it: the place of its stamp, or its number in a claimed site. */
  readonly device: number;
  /** `nowhere` as long as a board of a claimed site has none. */
  place: Place;
  key: PublicKey;
  seals: Signatures;
  readonly disk = new RecordDisk();
  readonly k3s: K3s;
  /** The roster its stamp or a person brought; survives a restart. */
  site: Site;
  state: State | undefined;
  powered = false;
  /** The roster of the image: what flashing brings back. */
  readonly stamped: Site;
  poweredAt = 0;
  /** Grows whenever what was under way is over: a power cut, a restart of the agent. */
  life = 0;
  pausedUntil = 0;
  /** Seconds since 1970 by its own clock; nothing in the protocol reads it. */
  wallClock = 1_800_000_000;
  /** A thief has it: its key speaks, its protocol does not run. */
  stolen = false;
  flashes = 0;
  /** Its k3s and its tools never answer. */
  hung = false;
  /** Milliseconds of the world's time; its agent's own time begins there. */
  startedAt = 0;
  readonly #world: World;
  #wakesAt = Number.POSITIVE_INFINITY;
  #effects: Effect[] = [];
  #syncing = false;
  /** What is done once the sync under way has ended. */
  #synced: (() => void) | undefined;

  constructor(world: World, index: number, device: number, site: Site) {
    this.#world = world;
    this.index = index;
    this.device = device;
    this.place = site.claimed ? nowhere : (device as Place);
    this.site = site;
    this.stamped = site;
    this.key = keyOf(this.#seal());
    this.seals = sealsOf(this.#seal());
    this.k3s = new K3s(world, this);
  }

  /** A stamp's key, or the one that a claimed board made after its last flash. */
  #seal(): number {
    return this.stamped.claimed ? 10_000 + this.index * 100 + this.flashes : this.device;
  }

  powerOn(): void {
    if (this.powered || this.stolen) return;
    this.powered = true;
    this.poweredAt = this.#world.now;
    this.#world.keys.add(this.key);
    this.#world.network.plug(this.index, this.#world.now);
    this.startAgent();
  }

  powerOff(): void {
    if (!this.powered) return;
    this.powered = false;
    this.endAgent();
    this.#world.network.unplug(this.index);
    this.k3s.killed();
  }

  endAgent(): void {
    this.life += 1;
    this.state = undefined;
    this.#effects = [];
    if (this.#syncing) this.disk.cut(this.#world.random);
    this.#syncing = false;
    this.#synced = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
  }

  startAgent(): void {
    const { random, now } = this.#world;
    this.startedAt = now;
    const { state, effects } = start(
      {
        now: 0,
        random: random.bits48(),
        site: this.site,
        place: this.place,
        boot: random.bits48() as BootId,
        incarnation: random.bits48() as Incarnation,
        record: this.disk.durable,
        store: this.k3s.storeOf(),
        capable: true,
        ...(this.stamped.claimed ? { board: { key: this.key, class: this.index % 3 } } : {}),
      },
      this.seals,
    );
    this.state = state;
    this.#take(effects);
    this.#world.later(random.between(0, 300), this, () => this.feed({ kind: 'carrier', up: true }));
  }

  /** Wiped and flashed again with its own stamp. */
  flash(): void {
    this.powerOff();
    this.disk.wipe();
    this.k3s.wiped();
    this.site = this.stamped;
    this.flashes += 1;
    if (!this.stamped.claimed) return;
    this.place = nowhere;
    this.key = keyOf(this.#seal());
    this.seals = sealsOf(this.#seal());
  }

  feed(happening: Happening): void {
    if (this.state === undefined) return;
    const world = this.#world;
    const event = { ...happening, now: world.now - this.startedAt, random: world.random.bits48() } as Event;
    const next = step(this.state, event, this.seals);
    this.state = next.state;
    this.#take(next.effects);
  }

  /** The hot path: one datagram. In claimed sites it is first looked whose key signed it; stamped places have one each. */
  receive(message: Message): void {
    if (this.state === undefined) return;
    if (this.stamped.claimed && !this.#world.signedRightly(message, this.state.site)) return;
    const world = this.#world;
    const now = world.now - this.startedAt;
    const next = step(
      this.state,
      { kind: 'message', now, random: world.random.bits48(), message },
      this.seals,
    );
    this.state = next.state;
    this.#take(next.effects);
  }

  wake(): void {
    if (this.state === undefined || this.#world.now < this.#wakesAt) return; // an earlier one was set since
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const due = wakeAt(this.state);
    const now = this.#world.now - this.startedAt;
    // A millionth of a millisecond is forgiven: sums of fractions do not always come back as they went in.
    if (now < due - 1e-6) {
      this.#sleep();
      return;
    }
    const tick = { kind: 'tick', now: Math.max(now, due), random: this.#world.random.bits48() } as const;
    const next = step(this.state, tick, this.seals);
    this.state = next.state;
    this.#take(next.effects);
  }

  #take(effects: readonly Effect[]): void {
    if (this.stamped.claimed && this.state !== undefined) this.place = this.state.place;
    if (effects.length > 0) {
      for (const effect of effects) this.#effects.push(effect);
      if (!this.#syncing) this.#work();
    }
    this.#sleep();
  }

  #sleep(): void {
    if (this.state === undefined) return;
    const at = Math.max(wakeAt(this.state) + this.startedAt, this.#world.now);
    if (at >= this.#wakesAt || at === Number.POSITIVE_INFINITY) return;
    this.#wakesAt = at;
    this.#world.wakeAt(at, this);
  }

  /** Does effects in their order; what comes after a persist waits until it is synced. */
  #work(): void {
    const effects = this.#effects;
    let done = 0;
    while (done < effects.length && !this.#syncing) {
      const effect = effects[done] as Effect;
      done += 1;
      if (effect.kind === 'persist') this.#persist(effect);
      else carryOut(this.#world, this, effect);
      if (effects !== this.#effects) return; // the agent ended under way
    }
    effects.splice(0, done);
  }

  #persist(effect: Effect & { kind: 'persist' }): void {
    const { random } = this.#world;
    this.#syncing = true;
    this.disk.write(effect.record);
    const synced = () => {
      if (this.#synced !== synced) return;
      this.#synced = undefined;
      this.#syncing = false;
      const record = this.disk.commit();
      if (record === undefined) {
        this.#effects = [];
        this.feed({ kind: 'diskFailed' });
        return;
      }
      this.#world.onPersisted(this, record);
      this.feed({ kind: 'persisted', record });
      if (!this.#syncing) this.#work();
    };
    this.#synced = synced;
    this.#world.later(this.disk.sync * (0.5 + random.unit()), this, synced);
  }

  /** Its disk works and is fast from now on, also for what it has under way; its agent is not paused any more. */
  heal(): void {
    this.disk.refuses = false;
    this.disk.sync = 4;
    if (this.#synced !== undefined) this.#world.later(this.disk.sync, this, this.#synced);
    this.pausedUntil = 0;
    this.#world.release(this);
  }

  takeRoster(site: Site): void {
    this.feed({ kind: 'roster', site });
    if (this.state !== undefined && !site.claimed) this.site = this.state.site;
    else if (site.epoch > this.site.epoch && site.rosterElectors === this.site.rosterElectors)
      this.site = site;
  }
}

/** What a board that runs the protocol gives to those who fetch. */
export function honestDossier(board: Board): ReturnType<typeof dossierOf> | undefined {
  return board.state === undefined ? undefined : dossierOf(board.state);
}
