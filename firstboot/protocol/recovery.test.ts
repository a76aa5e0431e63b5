// An elector that lost its memory, message by message: what seeds reach too rarely to rest on.
import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import type { Body, Hello, Message } from './messages.ts';
import { freshRecord } from './record.ts';
import type { State } from './state.ts';
import { start, step } from './step.ts';
import type { Accepted, Ballot, BootId, Challenge, ClusterId, Hash, Incarnation } from './terms.ts';

const site = siteFor(scheduleSchema.parse({ version: 1, devices: 5, schedule: [] }));
const [former, own] = [11 as Incarnation, 12 as Incarnation];
const others = [2, 3, 4, 5].map((index) => (100 + index) as Incarnation);
const ballot = (round: number): Ballot => ({ round, place: place(2), incarnation: others[0] as Incarnation });
const accepted = (round: number): Accepted => ({
  ballot: ballot(round),
  value: {
    cluster: `${round}`.padStart(12, '0') as ClusterId,
    ca: 'c'.repeat(64) as Hash,
    founder: place(2),
  },
});

/** Place 1 under its new incarnation, which has proven the others and was told that it had another. */
function amnesiac(): State {
  const record = freshRecord(site, 0, own);
  const from = { now: 0, random: 5, site, place: place(1), boot: 1 as BootId, incarnation: own, record };
  let state = start({ ...from, store: undefined, capable: true }, sealsOf(1)).state;
  for (const index of [2, 3, 4, 5]) state = hear(state, index, hello(state.challenge.newest)).state;
  expect(state.record.amnesiac).toBe(true);
  return step(state, { kind: 'tick', now: 30, random: 77 }, sealsOf(1)).state;
}

let sequence = 0;
function hear(state: State, from: number, body: Body) {
  sequence += 1;
  const message: Message = {
    from: place(from),
    to: 0,
    site: site.name,
    electors: site.electorsHash,
    boot: (1_000 + from) as BootId,
    sequence,
    incarnation: (100 + from) as Incarnation,
    generation: 1,
    body,
  };
  return step(state, { kind: 'message', now: 20, random: 9, message }, sealsOf(1));
}

function hello(challenge: Challenge): Hello {
  return {
    kind: 'hello',
    phase: 'listening',
    canFound: true,
    cluster: undefined,
    decided: undefined,
    gone: undefined,
    epoch: 1,
    roster: site.hash.slice(0, 16) as Hello['roster'],
    vector: [former, ...others],
    challenge: 6 as Challenge,
    echoes: [{ place: place(1), challenge }],
  };
}

function recovered(state: State, from: number, round: number | undefined, echo = state.recovery?.challenge) {
  return hear(state, from, {
    kind: 'recovered',
    promised: round === undefined ? undefined : ballot(round + 1),
    accepted: round === undefined ? undefined : accepted(round),
    vector: [own, ...others],
    echo: echo ?? (0 as Challenge),
  }).state;
}

const answers = (state: State, body: Body) =>
  hear(state, 2, body).effects.filter(
    (effect) => effect.kind === 'send' && effect.message.body.kind !== 'hello',
  );

describe('an elector that lost its memory', () => {
  const prepare = { kind: 'prepare', ballot: ballot(9), challenge: 3 as Challenge } as const;
  const accept = {
    kind: 'accept',
    ...accepted(9),
    promisers: [0, ...others],
    challenge: 3 as Challenge,
  } as const;

  it('neither promises nor accepts', () => {
    expect(answers(amnesiac(), prepare)).toEqual([]);
    expect(answers(amnesiac(), accept)).toEqual([]);
  });

  it('votes again after |E| − q + 1 others answered its own question, not before', () => {
    let state = amnesiac();
    state = recovered(state, 2, 4);
    state = recovered(state, 2, 4);
    state = recovered(state, 3, undefined);
    state = recovered(state, 4, undefined, 99 as Challenge);
    expect(state.record.amnesiac).toBe(true);
    state = recovered(state, 5, undefined);
    expect(state.record.amnesiac).toBe(false);
    expect(answers(state, prepare)).toHaveLength(1);
  });

  it('takes the highest promise and acceptance it was told', () => {
    let state = amnesiac();
    for (const [from, round] of [
      [2, 4],
      [3, 7],
      [5, 6],
    ] as const)
      state = recovered(state, from, round);
    expect(state.record.accepted).toEqual(accepted(7));
    expect(state.record.promised).toEqual(ballot(8));
    const [answer] = answers(state, { ...prepare, ballot: ballot(8) });
    expect(answer).toMatchObject({ message: { body: { kind: 'promise', accepted: accepted(7) } } });
  });
});

describe('one that is asked', () => {
  const question = (round: number) =>
    ({ kind: 'recover', promised: ballot(round), challenge: 3 as Challenge }) as const;

  function remembering(): State {
    const record = { ...freshRecord(site, 0, own), vector: [own, ...others] };
    const from = { now: 0, random: 5, site, place: place(1), boot: 1 as BootId, incarnation: own, record };
    let state = start({ ...from, store: undefined, capable: true }, sealsOf(1)).state;
    const { vector, ...said } = hello(state.challenge.newest);
    for (const index of [2, 3, 4, 5])
      state = hear(state, index, { ...said, vector: [own, ...others].slice(0, vector.length) }).state;
    expect(state.record.amnesiac).toBe(false);
    return state;
  }

  it('votes in no ballot that may rest on what was promised before the loss was noticed', () => {
    const { state } = hear(remembering(), 3, question(7));
    const [promise] = answers(state, { kind: 'prepare', ballot: ballot(7), challenge: 4 as Challenge });
    expect(promise).toMatchObject({
      message: { body: { kind: 'promise', promised: { round: 8, place: 3 } } },
    });
    const accept = { ...accepted(7), promisers: [own, ...others], challenge: 4 as Challenge };
    const [answer] = answers(state, { kind: 'accept', ...accept });
    expect(answer).toMatchObject({ message: { body: { kind: 'accepted', signature: undefined } } });
    expect(state.record.accepted).toBeUndefined();
    const [later] = answers(state, { kind: 'prepare', ballot: ballot(9), challenge: 4 as Challenge });
    expect(later).toMatchObject({ message: { body: { kind: 'promise', promised: ballot(9) } } });
  });

  it('gives up its own ballot then, and is not led to the end of all rounds', () => {
    const once = hear(remembering(), 3, question(7)).state;
    expect(hear(once, 3, question(7)).state.record).toEqual(once.record);
    expect(hear(once, 3, question(2 ** 32 - 1)).effects).toEqual([]);
  });
});
