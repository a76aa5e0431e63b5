// The boot state: which slot boots next and how often it may try. Read and written by the boot script, the agent and,
// later, the update handler. Two copies; each is only ever overwritten in place, the older one first.
//
// One copy on EFI machines is a GRUB environment block of 1,024 bytes, two sectors. The fields stand in the first, and
// all of them once more, as `again`, in the second: a sector of another write shows, also of one that was given up
// twice. Values never change their length: GRUB rewrites them in place.
import { grubEnvironment, readGrubEnvironment } from './grubenv.ts';

export type SlotName = 'a' | 'b';
export type SlotState = 'good' | 'trial' | 'bad';

export interface BootState {
  /** 0 to 9; the newer copy is the one whose `seq` follows the other's, modulo 10. */
  readonly seq: number;
  /** The slot to boot. */
  readonly primary: SlotName;
  readonly a: SlotState;
  readonly b: SlotState;
  /** Boots left to the primary slot before it must have been confirmed (trial) or have reached the agent (good): 0 to 9. */
  readonly left: number;
}

export const bootStateSize = 1024;
/** Attempts of a trial slot, and of a good one. */
const trialAttempts = 3;
export const goodAttempts = 9;

/** As flashed: A good, B empty. */
export const flashedState: BootState = { seq: 0, primary: 'a', a: 'good', b: 'bad', left: goodAttempts };

const letters = { good: 'g', trial: 't', bad: 'b' } as const satisfies Record<SlotState, string>;
const states: Readonly<Record<string, SlotState>> = { g: 'good', t: 'trial', b: 'bad' };

/** Fills the first sector so that `again` falls into the second. */
const padding = 'x'.repeat(560);

/** One copy as bytes. */
export function encodeBootState(state: BootState): Buffer {
  const fields = {
    seq: String(state.seq),
    primary: state.primary,
    a: letters[state.a],
    b: letters[state.b],
    left: String(state.left),
  };
  return grubEnvironment({ ...fields, padding, again: Object.values(fields).join('') }, bootStateSize);
}

/** One copy from bytes; undefined when it is torn, garbage or holds anything that is not allowed. */
export function decodeBootState(bytes: Uint8Array): BootState | undefined {
  const read = readGrubEnvironment(bytes);
  if (read === undefined) return undefined;
  const seq = digit(read.get('seq'));
  const primary = read.get('primary');
  const a = states[read.get('a') ?? ''];
  const b = states[read.get('b') ?? ''];
  const left = digit(read.get('left'));
  if (seq === undefined || left === undefined || a === undefined || b === undefined) return undefined;
  const fields = ['seq', 'primary', 'a', 'b', 'left'].map((name) => read.get(name));
  if (read.get('again') !== fields.join('')) return undefined;
  if (primary !== 'a' && primary !== 'b') return undefined;
  return { seq, primary, a, b, left };
}

/** The two copies as found, the one in force and the one to overwrite next. */
export interface BootStateCopies {
  /** Undefined when neither copy is whole. */
  readonly current: BootState | undefined;
  readonly overwrite: 0 | 1;
}

/** Which of two copies is in force. Of two that do not follow one another, or are equal, the first. */
export function chooseCopy(copies: readonly [BootState | undefined, BootState | undefined]): BootStateCopies {
  const [first, second] = copies;
  if (first === undefined) return { current: second, overwrite: 0 };
  if (second !== undefined && second.seq === successor(first.seq)) return { current: second, overwrite: 0 };
  return { current: first, overwrite: 1 };
}

export function successor(seq: number): number {
  return (seq + 1) % 10;
}

export function otherSlot(slot: SlotName): SlotName {
  return slot === 'a' ? 'b' : 'a';
}

/** What the boot script does with the state it finds; the scripts are tested against this. */
export interface BootChoice {
  /** Slots to load, in order, until one's kernel and initrd can be read. */
  readonly order: readonly SlotName[];
  /** The state to write before booting; undefined where nothing changes. */
  readonly next: BootState | undefined;
}

/** The decision at power-on. Whatever the state, some slot is tried; where none can be loaded the script resets after a minute. */
export function chooseSlot(current: BootState | undefined): BootChoice {
  if (current === undefined) return { order: ['a', 'b'], next: undefined };
  const { primary } = current;
  const other = otherSlot(primary);
  const otherGood = current[other] === 'good';
  const next = { ...current, seq: successor(current.seq) };
  const usable = current[primary] === 'good' || (current[primary] === 'trial' && current.left > 0);
  if (usable && current.left > 0) {
    return { order: otherGood ? [primary, other] : [primary], next: { ...next, left: current.left - 1 } };
  }
  // A slot that is not good is no second choice for a good one: better to reset and try the good one again.
  if (usable && !otherGood) return { order: [primary], next: undefined };
  if (otherGood) {
    const left = goodAttempts - 1;
    // A spent trial is bad for good; a good slot that never reached the agent stays good, for a person to look at.
    const spent = current[primary] === 'trial' ? { [primary]: 'bad' as const } : {};
    return { order: [other, primary], next: { ...next, ...spent, primary: other, left } };
  }
  // Neither slot is good: try the primary, then the other; changing words in the state would help nobody.
  return { order: [primary, other], next: undefined };
}

/**
 * The running slot reached a healthy agent: a trial becomes good, a good one gets its attempts back. Where both are
 * said to be bad, the one that runs is the better one.
 */
export function confirmed(state: BootState, running: SlotName): BootState {
  if (state.a === 'bad' && state.b === 'bad')
    return { ...state, seq: successor(state.seq), primary: running, [running]: 'good', left: goodAttempts };
  if (running !== state.primary) return state;
  if (state[running] === 'good' && state.left === goodAttempts) return state;
  return { ...state, seq: successor(state.seq), [running]: 'good', left: goodAttempts };
}

/** Slot B (or A) holds a verified copy or a new version, and shall be tried at the next boot or not. */
export function filled(state: BootState, slot: SlotName, as: 'good' | 'trial'): BootState {
  const seq = successor(state.seq);
  if (as === 'good') return { ...state, seq, [slot]: 'good' };
  return { ...state, seq, [slot]: 'trial', primary: slot, left: trialAttempts };
}

/**
 * The slot on trial that runs proved nothing, good or bad: the other one boots next. Kept as a trial it can be tried
 * again (`filled`); not kept it is bad.
 */
export function postponed(state: BootState, running: SlotName, keep: boolean): BootState {
  const seq = successor(state.seq);
  return {
    ...state,
    seq,
    primary: otherSlot(running),
    [running]: keep ? 'trial' : 'bad',
    left: goodAttempts,
  };
}

/** The slot is about to be overwritten: it must not be chosen until it is whole again. Never the primary one. */
export function emptied(state: BootState, slot: SlotName): BootState {
  return { ...state, seq: successor(state.seq), [slot]: 'bad' };
}

function digit(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]$/.test(text) ? Number(text) : undefined;
}
