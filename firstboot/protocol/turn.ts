// One step under way: a draft of the next state, and the effects so far. Nothing outside of a turn is ever changed.
import type { Place } from '../../formats/roster.ts';
import type { Alarm, Effect, Rule } from './events.ts';
import type { Body } from './messages.ts';
import { type Transition, type TransitionName, transitions } from './phases.ts';
import type { Record } from './record.ts';
import type { Signatures } from './signatures.ts';
import { type Draft, draftOf, type Since, type State, type Timers } from './state.ts';
import type { Milliseconds } from './terms.ts';
import { helloAtMostEvery } from './timings.ts';

export class Turn {
  readonly state: Draft<State>;
  readonly effects: Effect[] = [];
  readonly now: Milliseconds;
  /** 48 random bits. */
  readonly random: number;
  readonly signatures: Signatures;
  #wrote = false;

  constructor(state: State, now: Milliseconds, random: number, signatures: Signatures) {
    this.state = draftOf(state);
    this.now = now;
    this.random = random;
    this.signatures = signatures;
  }

  /** A duration varied by ±20 %. */
  around(duration: Milliseconds): Milliseconds {
    return duration * (0.8 + 0.4 * ((this.random % 1024) / 1024));
  }

  /** Changes the record: it is on disk before anything later leaves the device. */
  write(change: Partial<Record>): void {
    this.state.record = { ...this.state.record, ...change };
    this.#wrote = true;
  }

  /** Changes the record in a way that can wait until the device next says or does something. */
  learn(change: Partial<Record>): void {
    this.state.record = { ...this.state.record, ...change };
  }

  say(to: Place | 0, body: Body): void {
    const { state } = this;
    const { site, place, boot, record } = state;
    state.sequence += 1;
    this.act({
      kind: 'send',
      message: {
        from: place,
        to,
        site: site.name,
        electors: site.electorsHash,
        boot,
        sequence: state.sequence,
        incarnation: record.incarnation,
        generation: record.generation,
        body,
      },
    });
  }

  /** Promise 2 of docs/formation.md: what a device says or does rests on what is already on its disk. */
  act(effect: Effect): void {
    this.#persist();
    this.effects.push(effect);
  }

  note(rule: Rule): void {
    this.effects.push({ kind: 'note', rule });
  }

  /** Raises an alarm once a boot. */
  alarm(alarm: Alarm, about: string): void {
    if (this.state.alarms.includes(alarm)) return;
    this.state.alarms = [...this.state.alarms, alarm];
    this.effects.push({ kind: 'alarm', alarm, about });
  }

  enter(name: TransitionName): void {
    const transition: Transition = transitions[name];
    if (transition.from !== this.state.phase) {
      throw new Error(`${name} leads from ${transition.from}, not from ${this.state.phase}`);
    }
    this.state.phase = transition.to;
    this.since('phase');
    this.effects.push({ kind: 'entered', transition: name });
  }

  /** Sets a timer. */
  due(timer: keyof Timers, at: Milliseconds): void {
    const { hello, settle, propose, watch, recover, disk } = this.state.due;
    const due: Draft<Timers> = { hello, settle, propose, watch, recover, disk };
    due[timer] = at;
    this.state.due = due;
  }

  /** Sets a timer unless it is due before. */
  dueBy(timer: keyof Timers, at: Milliseconds): void {
    if (at < this.state.due[timer]) this.due(timer, at);
  }

  /** From now on. */
  since(what: keyof Since): void {
    const { phase, hello, join, serverless, alone } = this.state.since;
    const since: Draft<Since> = { phase, hello, join, serverless, alone };
    since[what] = this.now;
    this.state.since = since;
  }

  /** Looks around again, as after carrier, before it believes to be alone or first in rank. */
  settleAnew(): void {
    if (this.state.carrierAt !== undefined) this.state.carrierAt = this.now;
  }

  /** Says hello as soon as `within`, at random, but not more often than is polite. */
  helloWithin(within: Milliseconds): void {
    const { state } = this;
    const at = Math.max(
      this.now + within * ((this.random % 512) / 512),
      state.since.hello + helloAtMostEvery,
    );
    this.dueBy('hello', at);
  }

  end(): { readonly state: State; readonly effects: readonly Effect[] } {
    if (this.#wrote) this.#persist();
    return { state: this.state, effects: this.effects };
  }

  #persist(): void {
    const { state } = this;
    if (state.record === state.asked || state.diskFailed) return;
    state.asked = state.record;
    this.effects.push({ kind: 'persist', record: state.record });
  }
}
