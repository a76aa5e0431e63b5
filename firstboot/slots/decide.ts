// What is to be done about the slots now. Pure: the boot state and what the agent saw, in; one step, out.
import {
  type BootState,
  confirmed,
  filled,
  goodAttempts,
  otherSlot,
  postponed,
  type SlotName,
} from '../../formats/bootstate.ts';
import type { SlotSettings } from './settings.ts';

/** What the decision is made of; times are seconds since the kernel started. */
export interface SlotFacts {
  /** The state in force; undefined when neither copy is whole. */
  readonly state: BootState | undefined;
  /** The slot that runs. */
  readonly running: SlotName;
  readonly now: number;
  /** Since when the agent is healthy without a break. */
  readonly healthySince: number | undefined;
  /** A link was seen on some LAN interface since the boot. */
  readonly networkSeen: boolean;
  /** The device takes part in its site again, where it can: back.ts. */
  readonly back: boolean;
  /** Data is this flash's own and can be written. */
  readonly data: boolean;
  /** Whether this device's cluster has formed; undefined where nobody knows. */
  readonly formed: boolean | undefined;
  /** How often the slot on trial was put off because it saw no network. */
  readonly putOff: number;
  readonly settings: SlotSettings;
  /** What came of filling the other slot on this boot. */
  readonly filling: 'not begun' | 'running' | 'verified' | 'failed';
}

export type SlotStep =
  /** Nothing yet, and why. */
  | { readonly kind: 'wait'; readonly why: string }
  /** Write this state: the running slot is confirmed. */
  | { readonly kind: 'confirm'; readonly state: BootState }
  /** Write this state, and remember how often: the slot on trial that runs saw no network, the other one boots next. */
  | { readonly kind: 'put off'; readonly state: BootState; readonly putOff: number }
  /** Write this state: a trial that was put off is tried at the next boot. */
  | { readonly kind: 'try again'; readonly state: BootState }
  /** Copy the running slot over the other one. */
  | { readonly kind: 'fill' }
  /** Write this state: the other slot holds a verified copy. */
  | { readonly kind: 'filled'; readonly state: BootState }
  /** All is well. */
  | { readonly kind: 'rest' };

/** An agent that falls over again and again must not confirm its slot in between; seconds. */
const goodHealthyFor = 5;
/** A trial that never sees a network where the other slot does is bad in the end. */
const mostPutOff = 3;

/**
 * The next step. A trial slot is confirmed only when a network was seen: without one nobody could mend it. That it saw
 * none may be the site's fault, so it is put off, not bad: the other slot runs until there is a network again. And where
 * the device was in a cluster, only when its node is Ready again; the deadman ends the waiting.
 */
export function nextSlotStep(facts: SlotFacts): SlotStep {
  const { running, now, healthySince, settings } = facts;
  const state = facts.state ?? lostState(running);
  const healthy = healthySince === undefined ? 0 : now - healthySince;
  const trial = state[running] === 'trial';
  if (healthySince === undefined || healthy < (trial ? settings.trialHealthyFor : goodHealthyFor)) {
    return { kind: 'wait', why: 'the agent is not healthy for long enough' };
  }
  if (trial && !facts.networkSeen) return withoutNetwork(facts, state);
  if (trial && !facts.back) return { kind: 'wait', why: 'its node is not Ready again' };
  const next = confirmed(state, running);
  if (facts.state === undefined || next !== state) return { kind: 'confirm', state: next };
  if (state[running] !== 'good') return { kind: 'rest' };

  const other = otherSlot(running);
  // Without data nobody counts how often.
  if (state[other] === 'trial' && state.primary === running && facts.networkSeen && facts.data) {
    return { kind: 'try again', state: filled(state, other, 'trial') };
  }
  return running === 'a' && state.b === 'bad' ? fillStep(facts, state) : { kind: 'rest' };
}

function withoutNetwork({ running, now, putOff, settings }: SlotFacts, state: BootState): SlotStep {
  if (state.primary !== running) return { kind: 'wait', why: 'the other slot boots next' };
  if (now < settings.networkWithin || state[otherSlot(running)] !== 'good') {
    return { kind: 'wait', why: 'no network was seen since the boot' };
  }
  const count = putOff + 1;
  return { kind: 'put off', state: postponed(state, running, count < mostPutOff), putOff: count };
}

/** Slot B is filled when the cluster has formed, or seems never to. A device without its data has other worries. */
function fillStep({ now, data, formed, filling, settings }: SlotFacts, state: BootState): SlotStep {
  switch (filling) {
    case 'verified':
      return { kind: 'filled', state: filled(state, 'b', 'good') };
    case 'not begun':
      if (!data) return { kind: 'wait', why: 'data is not in use' };
      if (now >= (formed === false ? settings.fillAloneAfter : settings.fillAfter)) return { kind: 'fill' };
      return { kind: 'wait', why: 'the other slot is filled later' };
    case 'running':
      return { kind: 'wait', why: 'the other slot is being filled' };
    case 'failed':
      return { kind: 'rest' };
  }
}

/**
 * Both copies are torn or garbage. What runs is good. A was flashed, so it is taken for good; B may be empty, and is
 * filled again where A runs.
 */
function lostState(running: SlotName): BootState {
  const b = running === 'b' ? 'good' : 'bad';
  return { seq: 0, primary: running, a: 'good', b, left: goodAttempts };
}
