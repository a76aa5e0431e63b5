// Small worlds, whole: every order in which a few messages can arrive, and every restart between two of them, for three
// electors of which two propose different clusters. One that is lost is one that has not arrived yet; worlds that look
// alike are visited once.

import type { Effect, Event } from '../../firstboot/protocol/events.ts';
import type { Message } from '../../firstboot/protocol/messages.ts';
import { freshRecord, type Record } from '../../firstboot/protocol/record.ts';
import type { State } from '../../firstboot/protocol/state.ts';
import { start, step } from '../../firstboot/protocol/step.ts';
import {
  type BootId,
  type ClusterId,
  type Hash,
  type Identity,
  type Incarnation,
  never,
} from '../../firstboot/protocol/terms.ts';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from './schedule.ts';
import { sealsOf } from './seals.ts';
import { siteFor } from './site.ts';

const site = siteFor(scheduleSchema.parse({ version: 1, devices: 3, schedule: [] }));
const seals = [1, 2, 3].map(sealsOf);

interface Small {
  readonly states: readonly State[];
  /** To whom, and what; only messages of the decision. */
  readonly flying: readonly { readonly to: number; readonly message: Message }[];
  /** Ballots each proposer may still begin, and restarts that may still happen. */
  readonly ballots: readonly number[];
  readonly restarts: number;
}

export interface Exhausted {
  readonly worlds: number;
  /** Worlds in which somebody knows a decision. */
  readonly decided: number;
  readonly contradictions: number;
}

/** Visits every world within the budget of ballots and restarts, or the first `most` of them. */
export function exhaust(ballotsEach: number, restarts: number, most: number): Exhausted {
  const first: Small = { states: opening(), flying: [], ballots: [ballotsEach, ballotsEach, 0], restarts };
  const seen = new Set<string>();
  const open: Small[] = [first];
  let decided = 0;
  let contradictions = 0;
  for (let world = open.pop(); world !== undefined && seen.size < most; world = open.pop()) {
    const name = nameOf(world);
    if (seen.has(name)) continue;
    seen.add(name);
    const values = new Set(world.states.flatMap((state) => state.record.decided?.value.cluster ?? []));
    if (values.size > 0) decided += 1;
    if (values.size > 1) contradictions += 1;
    open.push(...nextOf(world));
  }
  return { worlds: seen.size, decided, contradictions };
}

function* nextOf(world: Small): Generator<Small> {
  const { states, flying, ballots, restarts } = world;
  for (const [index, { to, message }] of flying.entries()) {
    const rest = flying.toSpliced(index, 1);
    yield after(world, to, { kind: 'message', now: 1_000, random: 77, message }, rest);
  }
  for (const [index, left] of ballots.entries()) {
    const state = states[index] as State;
    if (left === 0 || state.record.decided !== undefined) continue;
    const ready = {
      ...state,
      proposal: undefined,
      due: { ...state.due, propose: 0, hello: never, watch: never },
    };
    const now = 60_000;
    const next = { ...world, states: states.with(index, ready), ballots: ballots.with(index, left - 1) };
    yield after(next, index, { kind: 'tick', now, random: 1_000 * (index + 1) + left }, flying);
  }
  if (restarts === 0) return;
  for (const [index, state] of states.entries()) {
    const again = { ...state, proposal: undefined, sequence: state.sequence };
    yield { ...world, states: states.with(index, again), restarts: restarts - 1 };
  }
}

function after(world: Small, index: number, event: Event, flying: Small['flying']): Small {
  const next = step(world.states[index] as State, event, seals[index] as (typeof seals)[number]);
  const persists = next.effects.filter((effect) => effect.kind === 'persist');
  const durable = persists.at(-1)?.record ?? next.state.durable;
  return {
    ...world,
    states: world.states.with(index, { ...next.state, durable }),
    flying: [...flying, ...next.effects.flatMap((effect) => copiesOf(effect, index))],
  };
}

function copiesOf(effect: Effect, from: number): Small['flying'] {
  if (effect.kind !== 'send' || effect.message.body.kind === 'hello') return [];
  const { message } = effect;
  return [0, 1, 2]
    .filter((to) => to !== from && (message.to === 0 || message.to === to + 1))
    .map((to) => ({ to, message }));
}

/** What matters of a world for what can happen next; sequences and times do not. */
function nameOf({ states, flying, ballots, restarts }: Small): string {
  const memories = states.map(({ record, proposal }) => [
    record.promised,
    record.accepted,
    record.decided?.value.cluster,
    record.round,
    proposal?.stage,
    proposal?.ballot,
    proposal?.value.cluster,
    proposal?.promises.map((one) => one.place).sort(),
    proposal?.acceptances.map((one) => one.place).sort(),
  ]);
  const messages = flying.map(({ to, message }) => `${to}${textOf(message)}`).sort();
  return JSON.stringify([memories, messages, ballots, restarts]);
}

const texts = new WeakMap<Message, string>();

function textOf(message: Message): string {
  let text = texts.get(message);
  if (text === undefined) {
    text = JSON.stringify([message.from, message.body]);
    texts.set(message, text);
  }
  return text;
}

/** Three electors that have proven each other; the first two are founders of undecided clusters. */
function opening(): State[] {
  let states = [0, 1, 2].map((index) => {
    const own = place(index + 1);
    const incarnation = (100 + index) as Incarnation;
    const identity: Identity = {
      cluster: `${index}`.repeat(12) as ClusterId,
      ca: 'c'.repeat(64) as Hash,
      founder: own,
    };
    const membership = { identity, role: 'founder', ready: true, shared: false } as const;
    const record: Record = {
      ...freshRecord(site, index, incarnation),
      membership: index < 2 ? membership : undefined,
    };
    const boot = (200 + index) as BootId;
    const store = index < 2 ? identity.cluster : undefined;
    const from = {
      now: 0,
      random: 300 + index,
      site,
      place: own,
      boot,
      incarnation,
      record,
      store,
      capable: true,
    };
    return start(from, seals[index] as (typeof seals)[number]).state;
  });
  for (let round = 0; round < 3; round += 1) {
    const hellos = states.map((state, index) => {
      const waiting = { ...state, due: { ...state.due, hello: 0, propose: never } };
      return step(
        waiting,
        { kind: 'tick', now: round * 1_000, random: 300 + index },
        seals[index] as (typeof seals)[number],
      );
    });
    states = hellos.map((one) => one.state);
    for (const [from, { effects }] of hellos.entries()) {
      for (const effect of effects) {
        if (effect.kind !== 'send') continue;
        states = states.map((state, to) =>
          to === from
            ? state
            : step(
                state,
                { kind: 'message', now: round * 1_000, random: 9, message: effect.message },
                seals[to] as (typeof seals)[number],
              ).state,
        );
      }
    }
  }
  return states.map((state) => ({
    ...state,
    due: { ...state.due, propose: never },
    phase: state.phase === 'listening' ? 'member' : state.phase,
  }));
}
