// What is to be done about the slots now. Pure: the boot state and what the agent saw, in; one step, out.
import {
  type BootState,
  confirmed,
  filled,
  goodAttempts,
  otherSlot,
  type SlotName,
} from '../../formats/bootstate.ts';

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
  /** The other slot is not filled before, in seconds since the kernel started. */
  readonly fillAfter: number;
  /** What came of filling the other slot on this boot. */
  readonly filling: 'not begun' | 'running' | 'verified' | 'failed';
}

export type SlotStep =
  /** Nothing yet, and why. */
  | { readonly kind: 'wait'; readonly why: string }
  /** Write this state: the running slot is confirmed. */
  | { readonly kind: 'confirm'; readonly state: BootState }
  /** Copy the running slot over the other one. */
  | { readonly kind: 'fill' }
  /** Write this state: the other slot holds a verified copy. */
  | { readonly kind: 'filled'; readonly state: BootState }
  /** All is well. */
  | { readonly kind: 'rest' };

/** An agent that falls over again and again must not confirm its slot in between. */
const healthyFor = { trial: 60, good: 5 } as const;

/** The next step. A trial slot is confirmed only when a network was seen: without one nobody could mend it. */
export function nextSlotStep(facts: SlotFacts): SlotStep {
  const { running, now, healthySince, filling } = facts;
  const state = facts.state ?? lostState(running);
  const healthy = healthySince === undefined ? 0 : now - healthySince;
  const trial = state[running] === 'trial';
  if (healthySince === undefined || healthy < healthyFor[trial ? 'trial' : 'good']) {
    return { kind: 'wait', why: 'the agent is not healthy for long enough' };
  }
  if (trial && !facts.networkSeen) return { kind: 'wait', why: 'no network was seen since the boot' };
  const next = confirmed(state, running);
  if (facts.state === undefined || next !== state) return { kind: 'confirm', state: next };

  const other = otherSlot(running);
  if (running !== 'a' || state[running] !== 'good' || state[other] !== 'bad') return { kind: 'rest' };
  switch (filling) {
    case 'verified':
      return { kind: 'filled', state: filled(state, other, 'good') };
    case 'not begun':
      if (now >= facts.fillAfter) return { kind: 'fill' };
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
