import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BootState, chooseSlot, flashedState } from '../../formats/bootstate.ts';
import { nextSlotStep, type SlotFacts } from './decide.ts';
import { anyState } from './disk.fixture.ts';
import { patient } from './settings.ts';

const facts: SlotFacts = {
  state: { ...flashedState, left: 8 },
  running: 'a',
  now: 100,
  healthySince: 20,
  networkSeen: true,
  back: true,
  data: true,
  formed: undefined,
  putOff: 0,
  settings: patient,
  filling: 'not begun',
};
const trialB: BootState = { seq: 4, primary: 'b', a: 'good', b: 'trial', left: 2 };

test.each<[string, Partial<SlotFacts>, object]>([
  ['a good slot gets its attempts back', {}, { kind: 'confirm', state: { left: 9, a: 'good', seq: 1 } }],
  ['also without a network', { networkSeen: false }, { kind: 'confirm' }],
  ['an agent that is not healthy confirms nothing', { healthySince: undefined }, { kind: 'wait' }],
  ['nor one that is for a moment', { healthySince: 98 }, { kind: 'wait' }],
  [
    'a trial slot is confirmed after a minute',
    { state: trialB, running: 'b' },
    { kind: 'confirm', state: { b: 'good', left: 9, seq: 5 } },
  ],
  ['not sooner', { state: trialB, running: 'b', healthySince: 50 }, { kind: 'wait' }],
  [
    'not before its node is Ready again',
    { state: trialB, running: 'b', now: 800, back: false },
    { kind: 'wait', why: 'its node is not Ready again' },
  ],
  ['a good slot does not wait for that', { back: false }, { kind: 'confirm' }],
  [
    'not without a network',
    { state: trialB, running: 'b', networkSeen: false },
    { kind: 'wait', why: 'no network was seen since the boot' },
  ],
  [
    'without one for ten minutes the other slot is next, and the trial stays one',
    { state: trialB, running: 'b', networkSeen: false, now: 600 },
    { kind: 'put off', putOff: 1, state: { primary: 'a', a: 'good', b: 'trial', left: 9, seq: 5 } },
  ],
  [
    'the third time it is bad',
    { state: trialB, running: 'b', networkSeen: false, now: 600, putOff: 2 },
    { kind: 'put off', putOff: 3, state: { primary: 'a', a: 'good', b: 'bad', left: 9 } },
  ],
  [
    'not for a slot that is not good',
    { state: { ...trialB, a: 'bad' }, running: 'b', networkSeen: false, now: 600 },
    { kind: 'wait', why: 'no network was seen since the boot' },
  ],
  [
    'and only once a boot',
    { state: { ...trialB, primary: 'a', left: 9 }, running: 'b', networkSeen: false, now: 900 },
    { kind: 'wait', why: 'the other slot boots next' },
  ],
  [
    'a network that comes then is too late for this boot',
    { state: { ...trialB, primary: 'a', left: 9 }, running: 'b', now: 700 },
    { kind: 'rest' },
  ],
  [
    'the other slot has it tried again when there is a network',
    { state: { ...trialB, primary: 'a', left: 9 } },
    { kind: 'try again', state: { primary: 'b', a: 'good', b: 'trial', left: 3, seq: 5 } },
  ],
  [
    'not where nobody could count how often',
    { state: { ...trialB, primary: 'a', left: 9 }, data: false },
    { kind: 'rest' },
  ],
  ['and not before', { state: { ...trialB, primary: 'a', left: 9 }, networkSeen: false }, { kind: 'rest' }],
  [
    'a lost state is written anew',
    { state: undefined },
    { kind: 'confirm', state: { primary: 'a', a: 'good', b: 'bad' } },
  ],
  [
    'confirmed: the empty slot later',
    { state: flashedState },
    { kind: 'wait', why: 'the other slot is filled later' },
  ],
  ['confirmed: the empty slot now', { state: flashedState, now: 130 }, { kind: 'fill' }],
  [
    'or as soon as a trial wishes',
    { state: flashedState, settings: { ...patient, fillAfter: 60 } },
    { kind: 'fill' },
  ],
  ['after the cluster has formed', { state: flashedState, now: 130, formed: true }, { kind: 'fill' }],
  [
    'not before it has',
    { state: flashedState, now: 1799, formed: false },
    { kind: 'wait', why: 'the other slot is filled later' },
  ],
  ['but a device that stays alone too', { state: flashedState, now: 1800, formed: false }, { kind: 'fill' }],
  [
    'never without data',
    { state: flashedState, now: 9999, formed: true, data: false },
    { kind: 'wait', why: 'data is not in use' },
  ],
  ['filling goes on', { state: flashedState, filling: 'running' }, { kind: 'wait' }],
  [
    'a verified copy is good',
    { state: flashedState, filling: 'verified' },
    { kind: 'filled', state: { b: 'good', primary: 'a', seq: 1 } },
  ],
  [
    'a failed one is not tried again on this boot',
    { state: flashedState, now: 999, filling: 'failed' },
    { kind: 'rest' },
  ],
  ['a full slot is left alone', { state: { ...flashedState, b: 'good' }, now: 999 }, { kind: 'rest' }],
  ['a trial that waits for its boot too', { state: { ...trialB, left: 3 }, now: 999 }, { kind: 'rest' }],
  [
    'A is never filled',
    { state: { seq: 0, primary: 'b', a: 'bad', b: 'good', left: 9 }, running: 'b', now: 999 },
    { kind: 'rest' },
  ],
])('%s', (_, changed, step) => {
  expect(nextSlotStep({ ...facts, ...changed })).toMatchObject(step);
});

test('whatever the state, following the steps ends in rest or waiting, and the running slot stays bootable', () => {
  fc.assert(
    fc.property(fc.option(anyState, { nil: undefined }), fc.constantFrom('a', 'b'), (start, running) => {
      let now: SlotFacts = { ...facts, state: start, running, now: 1000 };
      for (let steps = 0; steps < 6; steps += 1) {
        const step = nextSlotStep(now);
        if (step.kind === 'rest' || step.kind === 'wait') {
          if (now.state?.primary === running) expect(chooseSlot(now.state).order[0]).toBe(running);
          return;
        }
        now = step.kind === 'fill' ? { ...now, filling: 'verified' } : { ...now, state: step.state };
      }
      expect.unreachable();
    }),
  );
});
