// Whose proposals an elector answers at all.
import { expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import type { Body, Message } from './messages.ts';
import { freshRecord } from './record.ts';
import { start, step } from './step.ts';
import type { BootId, Challenge, ClusterId, Hash, Incarnation, ShortHash } from './terms.ts';

const site = siteFor(scheduleSchema.parse({ version: 1, devices: 5, workers: [4], schedule: [] }));
const own = 101 as Incarnation;

/** What place 1, an elector, answers to these messages of another place, which it has proven. */
function answersTo(from: number, ...bodies: readonly Body[]): readonly string[] {
  const record = freshRecord(site, 0, own);
  const begin = { now: 0, random: 5, site, place: place(1), boot: 1 as BootId, incarnation: own, record };
  let { state } = start({ ...begin, store: undefined, capable: true }, sealsOf(1));
  const hello: Body = {
    kind: 'hello',
    phase: 'listening',
    canFound: false,
    cluster: undefined,
    decided: undefined,
    gone: undefined,
    epoch: 1,
    roster: site.hash.slice(0, 16) as ShortHash,
    vector: [0, 0, 0, 0, 0],
    challenge: 6 as Challenge,
    echoes: [{ place: place(1), challenge: state.challenge.newest }],
  };
  const said: string[] = [];
  for (const [index, body] of [hello, ...bodies].entries()) {
    const message: Message = {
      from: place(from),
      to: 0,
      site: site.name,
      electors: site.electorsHash,
      boot: 9 as BootId,
      sequence: index + 1,
      incarnation: (100 + from) as Incarnation,
      generation: 1,
      body,
    };
    const next = step(state, { kind: 'message', now: 20, random: 9, message }, sealsOf(1));
    state = next.state;
    for (const effect of next.effects) if (effect.kind === 'send') said.push(effect.message.body.kind);
  }
  return said;
}

function proposal(of: number): readonly Body[] {
  const ballot = { round: 1, place: place(of), incarnation: (100 + of) as Incarnation };
  const value = { cluster: 'e'.repeat(12) as ClusterId, ca: 'e'.repeat(64) as Hash, founder: place(of) };
  const challenge = 3 as Challenge;
  return [
    { kind: 'prepare', ballot, challenge },
    { kind: 'accept', ballot, value, promisers: [0, 0, 0, 0, 0], challenge },
  ];
}

it('answers a place that may be a server', () => {
  expect(answersTo(2, ...proposal(2))).toEqual(['promise', 'accepted']);
});

it('28 answers no stolen worker, whatever its key signs', () => {
  expect(answersTo(4, ...proposal(4))).toEqual([]);
});

it('answers no ballot that is years ahead: its rounds would be used up', () => {
  const ahead = (round: number): readonly Body[] =>
    proposal(2).map((body) => ('ballot' in body ? { ...body, ballot: { ...body.ballot, round } } : body));
  expect(answersTo(2, ...ahead(2 ** 20))).toEqual(['promise', 'accepted']);
  expect(answersTo(2, ...ahead(2 ** 20 + 1))).toEqual([]);
});

it("answers nobody who uses another's ballot", () => {
  expect(answersTo(2, ...proposal(3))).toEqual([]);
});
