// A quiet agent, and its server that was started again: found by seed 211005 of an earlier drawing, where the server
// never proved the agent and so never counted its vote.
import { describe, expect, it } from 'vitest';
import { place } from '../../formats/roster.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { sealsOf } from '../../lab/simulated/seals.ts';
import { siteFor } from '../../lab/simulated/site.ts';
import type { Hello, Message } from './messages.ts';
import { freshRecord } from './record.ts';
import type { State } from './state.ts';
import { start, step } from './step.ts';
import type { BootId, Challenge, ClusterId, Hash, Incarnation } from './terms.ts';

const site = siteFor(scheduleSchema.parse({ version: 1, devices: 2, schedule: [] }));
const own = 11 as Incarnation;
const identity = { cluster: 'a'.repeat(12) as ClusterId, ca: 'c'.repeat(64) as Hash, founder: place(1) };

function agent(): State {
  const membership = { identity, role: 'agent', ready: true, shared: false } as const;
  const record = { ...freshRecord(site, 1, own), membership };
  const from = { now: 0, random: 5, site, place: place(2), boot: 1 as BootId, incarnation: own, record };
  return start({ ...from, store: identity.cluster, capable: true }, sealsOf(2)).state;
}

function serverSays(state: State, now: number, echo: Challenge | undefined, boot = 1_001): State {
  const body: Hello = {
    kind: 'hello',
    phase: 'serving',
    canFound: false,
    cluster: { identity, ready: true, server: true, servers: 1, members: 2, data: false },
    decided: undefined,
    gone: undefined,
    epoch: site.epoch,
    roster: site.hash.slice(0, 16) as Hello['roster'],
    vector: [10 as Incarnation, 0],
    challenge: 6 as Challenge,
    echoes: echo === undefined ? [] : [{ place: place(2), challenge: echo }],
  };
  const message: Message = {
    from: place(1),
    to: 0,
    site: site.name,
    electors: site.electorsHash,
    boot: boot as BootId,
    sequence: now,
    incarnation: 10 as Incarnation,
    generation: 1,
    body,
  };
  return step(state, { kind: 'message', now, random: 9, message }, sealsOf(2)).state;
}

const wait = (state: State, now: number) =>
  step(state, { kind: 'tick', now, random: 77 + now }, sealsOf(2)).state;

describe('an agent that hears its server', () => {
  it('answers a boot that it has just proven: that one waits for an echo too', () => {
    const said = wait(agent(), 200);
    const proven = serverSays(said, 1_000, said.challenge.newest);
    expect(proven.peers[1]?.boot).toBe(1_001);
    expect(proven.due.hello).toBeLessThanOrEqual(1_200);
  });

  it('takes no recording of its earlier boot for it, though the challenge before is answered too', () => {
    const first = wait(agent(), 200);
    const older = first.challenge.newest;
    const second = wait(first, 12_000);
    const { newest } = second.challenge;
    expect([newest === older, second.challenge.former]).toEqual([false, older]);
    const proven = serverSays(second, 12_100, newest);
    const recorded = serverSays(proven, 12_200, older, 1_000);
    expect([recorded.peers[1]?.boot, recorded.peers[1]?.formerBoots]).toEqual([1_001, []]);
    // A boot that is new indeed answers what is asked from then on.
    const third = wait(recorded, 23_000);
    expect(third.challenge.newest).not.toBe(newest);
    expect(serverSays(third, 23_100, third.challenge.newest, 1_002).peers[1]?.boot).toBe(1_002);
  });

  it('speaks slowly while nothing is decided, if it is an elector', () => {
    const said = wait(agent(), 200);
    const quiet = wait(serverSays(said, 1_000, said.challenge.newest), 1_300);
    expect(quiet.due.hello - 1_300).toBeGreaterThan(20_000);
    expect(quiet.due.hello - 1_300).toBeLessThan(40_000);
  });
});
