import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BootState,
  bootStateSize,
  chooseCopy,
  chooseSlot,
  confirmed,
  decodeBootState,
  emptied,
  encodeBootState,
  filled,
  flashedState,
  successor,
} from './bootstate.ts';

const anyState: fc.Arbitrary<BootState> = fc.record({
  seq: fc.integer({ min: 0, max: 9 }),
  primary: fc.constantFrom('a', 'b'),
  a: fc.constantFrom('good', 'trial', 'bad'),
  b: fc.constantFrom('good', 'trial', 'bad'),
  left: fc.integer({ min: 0, max: 9 }),
});

describe('one copy', () => {
  it('comes back as it was written, in two sectors', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const bytes = encodeBootState(state);
        expect(bytes.length).toBe(bootStateSize);
        expect(decodeBootState(bytes)).toEqual(state);
        expect(bytes.indexOf('seq=')).toBeLessThan(512);
        expect(bytes.indexOf('again=')).toBeGreaterThanOrEqual(512);
      }),
    );
  });

  it('is refused when only one of its sectors was written', () => {
    fc.assert(
      fc.property(anyState, anyState, (before, after) => {
        fc.pre(JSON.stringify(before) !== JSON.stringify(after));
        const torn = Buffer.concat([
          encodeBootState(after).subarray(0, 512),
          encodeBootState(before).subarray(512),
        ]);
        expect(decodeBootState(torn)).toBeUndefined();
      }),
    );
  });

  it('is refused when it is garbage', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 0, maxLength: 1024 }),
        (bytes) => decodeBootState(bytes) === undefined,
      ),
    );
    const wild = Buffer.from(
      encodeBootState(flashedState).toString('latin1').replace('primary=a', 'primary=c'),
      'latin1',
    );
    expect(decodeBootState(wild)).toBeUndefined();
  });
});

describe('two copies', () => {
  it('the newer is the successor of the other, and the older is overwritten', () => {
    fc.assert(
      fc.property(anyState, fc.boolean(), (old, swap) => {
        const young = { ...old, seq: successor(old.seq) };
        const found = chooseCopy(swap ? [young, old] : [old, young]);
        expect(found).toEqual({ current: young, overwrite: swap ? 1 : 0 });
      }),
    );
  });

  it('a torn one is overwritten and the other one rules', () => {
    expect(chooseCopy([undefined, flashedState])).toEqual({ current: flashedState, overwrite: 0 });
    expect(chooseCopy([flashedState, undefined])).toEqual({ current: flashedState, overwrite: 1 });
    expect(chooseCopy([undefined, undefined]).current).toBeUndefined();
  });
});

/** Boots until nothing changes, never reaching the agent; gives the slots that were tried first. */
function bootsWithoutAgent(state: BootState, boots: number): string {
  let tried = '';
  let current = state;
  for (let boot = 0; boot < boots; boot++) {
    const choice = chooseSlot(current);
    tried += choice.order[0];
    current = choice.next ?? current;
  }
  return tried;
}

describe('the choice at power-on', () => {
  it('gives a trial three attempts and falls back', () => {
    const trial = filled({ ...flashedState, seq: 9 }, 'b', 'trial');
    expect(trial).toEqual({ seq: 0, primary: 'b', a: 'good', b: 'trial', left: 3 });
    expect(bootsWithoutAgent(trial, 6)).toBe('bbbaaa');
  });

  it('marks the spent trial as bad', () => {
    const spent: BootState = { seq: 4, primary: 'b', a: 'good', b: 'trial', left: 0 };
    expect(chooseSlot(spent).next).toEqual({ seq: 5, primary: 'a', a: 'good', b: 'bad', left: 8 });
  });

  it('leaves a good slot after nine boots in a row without the agent, and only for another good one', () => {
    expect(bootsWithoutAgent(flashedState, 30)).toBe('a'.repeat(30));
    expect(bootsWithoutAgent({ ...flashedState, b: 'good' }, 20)).toBe('aaaaaaaaabbbbbbbbbaa');
  });

  it('always tries something', () => {
    fc.assert(
      fc.property(fc.option(anyState, { nil: undefined }), (state) => chooseSlot(state).order.length > 0),
    );
  });

  it('keeps one good slot good whatever happens', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        fc.pre(state.a === 'good' || state.b === 'good');
        const next = chooseSlot(state).next ?? state;
        expect([next.a, next.b]).toContain('good');
      }),
    );
  });
});

describe('what the agent says', () => {
  it('confirms only the slot that runs and is primary', () => {
    const trial = filled(flashedState, 'b', 'trial');
    expect(confirmed(trial, 'a')).toBe(trial);
    expect(confirmed(trial, 'b')).toEqual({ seq: 2, primary: 'b', a: 'good', b: 'good', left: 9 });
  });

  it.each(['a', 'b'] as const)('of two bad slots the one that runs is good: %s', (running) => {
    const state: BootState = { seq: 9, primary: 'b', a: 'bad', b: 'bad', left: 2 };
    expect(confirmed(state, running)).toEqual({
      ...{ seq: 0, primary: running, a: 'bad', b: 'bad', left: 9 },
      [running]: 'good',
    });
  });

  it('writes nothing when there is nothing to say', () => {
    expect(confirmed(flashedState, 'a')).toBe(flashedState);
  });

  it('an emptied slot is not chosen', () => {
    const state = emptied({ ...flashedState, b: 'good' }, 'b');
    expect(chooseSlot(state).order).toEqual(['a']);
  });
});
