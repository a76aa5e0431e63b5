// What excuses two decisions of one generation, and what does not: three electors, place 1 comes again as another self.
import { expect, it } from 'vitest';
import type { Body, Message } from '../../firstboot/protocol/messages.ts';
import { freshRecord, type Record } from '../../firstboot/protocol/record.ts';
import type {
  Ballot,
  BootId,
  Certificate,
  Challenge,
  ClusterId,
  Hash,
  Identity,
  Incarnation,
  Signature,
} from '../../firstboot/protocol/terms.ts';
import { place } from '../../formats/roster.ts';
import type { Board } from './board.ts';
import { Memory } from './memory.ts';
import { scheduleSchema } from './schedule.ts';
import { World } from './world.ts';

const scenario = scheduleSchema.parse({ version: 1, devices: 3, schedule: [] });
const lives = (...numbers: readonly number[]) => numbers as Incarnation[];
const former = 101 as Incarnation;
const again = 201 as Incarnation;
const own = (index: number) => (100 + index) as Incarnation;
const ballot = (round: number, by: number): Ballot => ({ round, place: place(by), incarnation: own(by) });
const identity = (letter: string): Identity => ({
  cluster: letter.repeat(12) as ClusterId,
  ca: 'c'.repeat(64) as Hash,
  founder: place(1),
});
const challenge = 1 as Challenge;

function certificate(
  one: Ballot,
  value: Identity,
  signers: readonly (readonly [number, number])[],
): Certificate {
  const signed = signers.map(([by, life]) => {
    return { place: place(by), incarnation: life as Incarnation, signature: '' as Signature };
  });
  return { generation: 1, ballot: one, value, signers: signed };
}

/** What happened: places 1 and 2 decided; place 1 came again as another; place 3 asked it, and decided with it. */
class Story {
  readonly world = new World(scenario, [], false);
  readonly memory = new Memory();
  readonly #disks = new Map<Board, Record>();

  constructor() {
    this.says(1, {
      kind: 'accept',
      ballot: ballot(1, 1),
      value: identity('a'),
      promisers: lives(101, 102, 0),
      challenge,
    });
    this.accepts(1, ballot(1, 1), 'a');
    this.accepts(2, ballot(1, 1), 'a');
    this.memory.wiped(this.board(1));
    this.#disks.delete(this.board(1));
    this.keeps(1, { incarnation: again, vector: lives(201, 0, 0) });
  }

  board(index: number): Board {
    return this.world.device(index) ?? expect.fail();
  }

  keeps(index: number, change: Partial<Record>): void {
    const board = this.board(index);
    const before = this.#disks.get(board) ?? freshRecord(board.stamped, index - 1, own(index));
    const record = { ...before, ...change };
    this.#disks.set(board, record);
    this.memory.persisted(board, record);
  }

  accepts(index: number, one: Ballot, letter: string): void {
    this.keeps(index, { accepted: { ballot: one, value: identity(letter) } });
  }

  says(index: number, body: Body, to = 0): void {
    const board = this.board(index);
    const incarnation = this.#disks.get(board)?.incarnation ?? own(index);
    const { electorsHash: electors, name: site } = board.stamped;
    const head = {
      from: place(index),
      to: to === 0 ? 0 : place(to),
      site,
      electors,
      boot: 1 as BootId,
    } as const;
    const message: Message = { ...head, sequence: 1, incarnation, generation: 1, body };
    this.memory.sent(board, message);
  }

  /** Place 3 founds another on the word of place 1's new self. */
  turns(): void {
    this.promises();
    this.asks();
    this.accepts(3, ballot(2, 3), 'b');
  }

  promises(): void {
    const two = ballot(2, 3);
    const nothing = { promised: two, accepted: undefined, vector: lives(201, 0, 0), echo: challenge };
    this.says(1, { kind: 'promise', ballot: two, ...nothing });
  }

  asks(): void {
    this.says(3, {
      kind: 'accept',
      ballot: ballot(2, 3),
      value: identity('b'),
      promisers: lives(201, 0, 103),
      challenge,
    });
  }

  excused(
    later = certificate(ballot(2, 3), identity('b'), [
      [1, 201],
      [3, 103],
    ]),
  ): boolean {
    const first = certificate(ballot(1, 1), identity('a'), [
      [1, former],
      [2, 102],
    ]);
    return this.memory.excuses(this.world, first, later) && this.memory.excuses(this.world, later, first);
  }
}

it('is excused: nobody there had known its former self', () => {
  const story = new Story();
  story.turns();
  expect(story.excused()).toBe(true);
});

it('what follows from that is excused too, whoever signs it; what does not follow from it is not', () => {
  const story = new Story();
  story.turns();
  const ask = { kind: 'accept', value: identity('b'), promisers: lives(0, 102, 103), challenge } as const;
  story.says(2, { ...ask, ballot: ballot(3, 2) });
  story.accepts(2, ballot(3, 2), 'b');
  const signers = [
    [2, 102],
    [3, 103],
  ] as const;
  expect(story.excused(certificate(ballot(3, 2), identity('b'), signers))).toBe(true);
  const other = new Story();
  other.says(2, { ...ask, ballot: ballot(3, 2) });
  other.accepts(2, ballot(3, 2), 'b');
  expect(other.excused(certificate(ballot(3, 2), identity('b'), signers))).toBe(false);
});

it('is not excused where one who asked or promised had known its former self', () => {
  const story = new Story();
  story.keeps(3, { vector: lives(101, 0, 103) });
  story.keeps(3, { vector: lives(201, 0, 103), superseded: lives(101) });
  story.turns();
  expect(story.excused()).toBe(false);
});

it('is not excused where one who accepted had known it; but what it learns later counts for nothing', () => {
  const story = new Story();
  story.promises();
  story.asks();
  story.keeps(2, { vector: lives(201, 102, 103), superseded: lives(101) });
  story.accepts(2, ballot(2, 3), 'b');
  expect(story.excused()).toBe(false);
  const later = new Story();
  later.turns();
  later.keeps(3, { vector: lives(201, 0, 103), superseded: lives(101) });
  expect(later.excused()).toBe(true);
});

it('is not excused where it had been told and asked one who remembers; a person’s word excuses it', () => {
  const recovered = (of: Story, by: number) =>
    of.says(
      by,
      {
        kind: 'recovered',
        promised: undefined,
        accepted: undefined,
        vector: lives(201, 0, 0),
        echo: challenge,
      },
      1,
    );
  const story = new Story();
  story.keeps(1, { amnesiac: true, recoveredFrom: lives(101) });
  recovered(story, 2);
  recovered(story, 3);
  story.keeps(1, { amnesiac: false });
  story.turns();
  expect(story.excused()).toBe(false);
  story.memory.letGo(story.board(1));
  expect(story.excused()).toBe(true);
});

it('nobody forgot: never excused', () => {
  const story = new Story();
  story.says(3, {
    kind: 'accept',
    ballot: ballot(2, 3),
    value: identity('b'),
    promisers: lives(0, 102, 103),
    challenge,
  });
  story.accepts(3, ballot(2, 3), 'b');
  expect(
    story.excused(
      certificate(ballot(2, 3), identity('b'), [
        [2, 102],
        [3, 103],
      ]),
    ),
  ).toBe(false);
});
