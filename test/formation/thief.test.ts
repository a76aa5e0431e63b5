// What well-formed words, signed with a stolen board's key, can do: here they are made up, one kind after the other.
import { expect, it } from 'vitest';
import type { Body, Hello, Message } from '../../firstboot/protocol/messages.ts';
import type { BootId, Challenge, Incarnation } from '../../firstboot/protocol/terms.ts';
import { lastRound } from '../../firstboot/protocol/terms.ts';
import { place } from '../../formats/roster.ts';
import type { Checker } from '../../lab/simulated/checkers/checker.ts';
import { allCheckers } from '../../lab/simulated/checkers/index.ts';
import { arrange } from '../../lab/simulated/people.ts';
import { scheduleSchema } from '../../lab/simulated/schedule.ts';
import { World } from '../../lab/simulated/world.ts';

/** What the thief says when it hears this; its hellos echo whoever speaks, so that all of it is believed to be fresh. */
type Lie = (heard: Body) => readonly Body[];

/** Half an hour of a site of three electors and a worker, of which the thief has `device`'s key from the first second on. */
function site(device: number, lie: Lie) {
  const power = [1, 2, 3, 4].map((one) => ({ at: 0, event: 'power-on', device: one }));
  const world = new World(
    scheduleSchema.parse({
      version: 1,
      devices: 4,
      electors: [1, 2, 3],
      workers: [4],
      policy: 'majority',
      schedule: [...power, { at: 1, event: 'steal', device }],
    }),
    [...allCheckers(), rounds],
    false,
  );
  highest = 0;
  let sequence = 0;
  arrange(world);
  world.at(1_001, () => {
    world.onHeardByThief = (thief, heard) => {
      if (heard.from === device) return;
      for (const body of lie(heard.body)) {
        sequence += 1;
        const head = { ...heard, from: place(device), to: heard.from, boot: 99 as BootId, sequence };
        const fresh = body.kind === 'hello' ? { ...body, echoes: echoTo(heard) } : body;
        world.transmit(thief.index, { ...head, incarnation: 1 as Incarnation, body: fresh });
      }
    };
  });
  world.run(1_800_000);
  expect(world.violations).toEqual([]);
  const honest = world.boards.filter(({ stolen }) => !stolen);
  expect(honest.map(({ state }) => state?.record.decided !== undefined)).toEqual([true, true, true]);
  expect(honest.filter(({ state }) => state?.phase === 'serving')).toHaveLength(1);
  expect(highest, 'no round is lost to it').toBeLessThan(20);
  return world;
}

let highest = 0;
const rounds: Checker = {
  promise: 'rounds',
  sent(_, __, { body }) {
    if ('ballot' in body) highest = Math.max(highest, body.ballot.round);
  },
};

const echoTo = ({ from, body }: Message): Hello['echoes'] =>
  body.kind === 'hello' ? [{ place: from, challenge: body.challenge }] : [];

function hello(heard: Hello, more: Partial<Hello> = {}): Hello {
  const nothing = { cluster: undefined, decided: undefined, gone: undefined };
  const own = { phase: 'listening', canFound: false, challenge: 7 as Challenge, vector: [0, 0, 0] } as const;
  return { ...heard, ...nothing, ...own, echoes: [], ...more };
}

const proves: Lie = (heard) => (heard.kind === 'hello' ? [hello(heard)] : []);

it.each([4, 2])('a ballot that nobody could follow is no ballot (place %i)', (device) => {
  site(device, (heard) => {
    if (heard.kind !== 'prepare') return proves(heard);
    const { ballot, challenge } = heard;
    const promised = { ...ballot, round: lastRound, place: place(device) };
    return [{ kind: 'promise', ballot, promised, accepted: undefined, vector: [0, 0, 0], echo: challenge }];
  });
});

it('a worker tells no elector that it was another before', () => {
  let invented = 1_000;
  const world = site(4, (heard) => {
    if (heard.kind !== 'hello') return [];
    invented += 3;
    const vector = [invented, invented + 1, invented + 2] as Incarnation[];
    return [hello(heard), hello(heard, { vector })];
  });
  expect(world.marks.get('amnesia: noticed')).toBeUndefined();
});

it('a roster that nobody hands out keeps nothing from being learned', () => {
  site(4, (heard) => (heard.kind === 'hello' ? [hello(heard, { epoch: 2 })] : []));
});
