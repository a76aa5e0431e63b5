// What a device remembers of its slots, on data: enough to say in words what the boot script did without its agent.
import { type BootState, otherSlot, type SlotName, type SlotState } from '../../formats/bootstate.ts';
import { isRecord, parseJson } from '../../formats/json.ts';

const slots: readonly SlotName[] = ['a', 'b'];
const states: readonly SlotState[] = ['good', 'trial', 'bad'];
const reasons = ['trial not confirmed', 'no network on trial', 'never reached its agent'] as const;

/** A slot that does not boot any more by itself, and why not. */
export interface Setback {
  readonly slot: SlotName;
  readonly why: (typeof reasons)[number];
  /** When the agent noticed, by this device's clock: ISO 8601, UTC. */
  readonly since: string;
}

/** The boot state as the agent last saw or wrote it, and what is to be told until it is over. */
export interface SlotMemory {
  readonly last: Pick<BootState, 'primary' | 'a' | 'b'>;
  readonly setback: Setback | undefined;
}

/**
 * The memory behind a start. What changed since the last look is taken for the boot script's doing, for nothing in a
 * state says who wrote it: whatever else writes one on the device tells the memory of it by `rememberWritten`. A slot
 * that something marked bad without that would be told of as a trial that was not confirmed.
 */
export function rememberFound(memory: SlotMemory | undefined, found: BootState, since: string): SlotMemory {
  return memoryOf(found, setbackIn(memory?.last, found, since) ?? memory?.setback);
}

/** The memory behind a write of the agent's own: only it knows whether that was a setback. */
export function rememberWritten(
  memory: SlotMemory | undefined,
  written: BootState,
  setback: Setback | undefined,
): SlotMemory {
  return memoryOf(written, setback ?? memory?.setback);
}

/** It is over when the slot is on trial anew, or rules again. */
function memoryOf({ primary, a, b }: BootState, setback: Setback | undefined): SlotMemory {
  const last = { primary, a, b };
  const over = setback !== undefined && (last[setback.slot] === 'trial' || primary === setback.slot);
  return { last, setback: over ? undefined : setback };
}

function setbackIn(
  before: SlotMemory['last'] | undefined,
  found: BootState,
  since: string,
): Setback | undefined {
  if (before === undefined) return undefined;
  const spent = slots.find((slot) => found[slot] === 'bad' && before[slot] !== 'bad');
  if (spent !== undefined) return { slot: spent, why: 'trial not confirmed', since };
  // The agent itself never takes a good slot's turn from it.
  const left = before.primary;
  if (left === found.primary || found[left] !== 'good' || before[left] !== 'good') return undefined;
  return { slot: left, why: 'never reached its agent', since };
}

/** What the status says of it. */
export function setbackWords({ slot, why, since }: Setback): string {
  const name = slot.toUpperCase();
  const other = otherSlot(slot).toUpperCase();
  const time = `${since.slice(0, 16).replace('T', ' ')} UTC`;
  switch (why) {
    case 'trial not confirmed':
      return `slot ${name} was on trial and none of its starts was confirmed: given up for slot ${other}, seen ${time}`;
    case 'no network on trial':
      return `slot ${name} was on trial and never saw a network where slot ${other} did: given up for slot ${other}, ${time}`;
    case 'never reached its agent':
      return `nine starts of slot ${name} in a row did not reach its agent: left for slot ${other}, seen ${time}`;
  }
}

/** The memory as a file's text. */
export function memoryText(memory: SlotMemory): string {
  return `${JSON.stringify(memory)}\n`;
}

/** The memory in a file's text; undefined when there is none. */
export function parseMemory(text: string): SlotMemory | undefined {
  const value = parseJson(text);
  if (!isRecord(value) || !isRecord(value['last'])) return undefined;
  const { last } = value;
  const primary = slots.find((slot) => slot === last['primary']);
  const a = states.find((state) => state === last['a']);
  const b = states.find((state) => state === last['b']);
  if (primary === undefined || a === undefined || b === undefined) return undefined;
  return { last: { primary, a, b }, setback: parseSetback(value['setback']) };
}

function parseSetback(value: unknown): Setback | undefined {
  if (!isRecord(value)) return undefined;
  const slot = slots.find((name) => name === value['slot']);
  const why = reasons.find((reason) => reason === value['why']);
  const since = value['since'];
  if (slot === undefined || why === undefined || typeof since !== 'string') return undefined;
  return { slot, why, since };
}
