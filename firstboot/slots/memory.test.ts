import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BootState, chooseSlot, filled } from '../../formats/bootstate.ts';
import { anyState } from './disk.fixture.ts';
import { memoryText, parseMemory, rememberFound, rememberWritten, setbackWords } from './memory.ts';

const time = '2026-11-21T18:05:09.123Z';
const bothGood: BootState = { seq: 3, primary: 'a', a: 'good', b: 'good', left: 9 };

/** What the boot script makes of a state in so many starts that no agent confirms. */
function starts(state: BootState, times: number): BootState {
  let now = state;
  for (let start = 0; start < times; start += 1) now = chooseSlot(now).next ?? now;
  return now;
}

test('a trial of which no start was confirmed', () => {
  const before = rememberWritten(undefined, filled(bothGood, 'b', 'trial'), undefined);
  const trial = filled(bothGood, 'b', 'trial');
  expect(rememberFound(before, starts(trial, 3), time).setback).toBeUndefined();
  const after = rememberFound(before, starts(trial, 4), time);
  expect(after.setback).toEqual({ slot: 'b', why: 'trial not confirmed', since: time });
  // Told at every start, also once the slot is filled again; until it is on trial anew.
  const later = '2026-11-22T00:00:00.000Z';
  const refilled = filled(starts(trial, 4), 'b', 'good');
  expect(rememberFound(rememberWritten(after, refilled, undefined), refilled, later).setback?.since).toBe(
    time,
  );
  expect(rememberWritten(after, filled(refilled, 'b', 'trial'), undefined).setback).toBeUndefined();
});

test('a trial that nobody remembered to have begun', () => {
  const before = rememberFound(undefined, bothGood, time);
  expect(before.setback).toBeUndefined();
  const after = rememberFound(before, starts(filled(bothGood, 'b', 'trial'), 4), time);
  expect(after.setback).toMatchObject({ slot: 'b', why: 'trial not confirmed' });
});

test('a good slot that was left after nine starts, and one that rules again', () => {
  const before = rememberFound(undefined, bothGood, time);
  expect(rememberFound(before, starts(bothGood, 9), time).setback).toBeUndefined();
  const left = starts(bothGood, 10);
  const after = rememberFound(before, left, time);
  expect(after.setback).toEqual({ slot: 'a', why: 'never reached its agent', since: time });
  expect(rememberFound(after, { ...left, primary: 'a' }, time).setback).toMatchObject({ slot: 'b' });
  expect(rememberWritten(after, { ...left, primary: 'a' }, undefined).setback).toBeUndefined();
});

test('what the agent writes itself is no setback unless it says so', () => {
  const before = rememberFound(undefined, bothGood, time);
  const bad: BootState = { ...bothGood, b: 'bad' };
  expect(rememberWritten(before, bad, undefined).setback).toBeUndefined();
  const setback = { slot: 'b', why: 'no network on trial', since: time } as const;
  expect(rememberWritten(before, bad, setback).setback).toEqual(setback);
});

test('words', () => {
  expect(setbackWords({ slot: 'a', why: 'never reached its agent', since: time })).toBe(
    'nine starts of slot A in a row did not reach its agent: left for slot B, seen 2026-11-21 18:05 UTC',
  );
  expect(setbackWords({ slot: 'b', why: 'no network on trial', since: time })).toBe(
    'slot B was on trial and never saw a network where slot A did: given up for slot A, 2026-11-21 18:05 UTC',
  );
});

test('a memory is the same from its text; anything else is none', () => {
  fc.assert(
    fc.property(anyState, anyState, (first, second) => {
      const memory = rememberFound(rememberFound(undefined, first, time), second, time);
      expect(parseMemory(memoryText(memory))).toEqual(memory);
    }),
  );
  expect(parseMemory('')).toBeUndefined();
  expect(parseMemory('{"last":{"primary":"c","a":"good","b":"bad"}}')).toBeUndefined();
  const odd = '{"last":{"primary":"a","a":"good","b":"bad"},"setback":{"slot":"b","why":"weather"}}';
  expect(parseMemory(odd)).toEqual({ last: { primary: 'a', a: 'good', b: 'bad' }, setback: undefined });
});
