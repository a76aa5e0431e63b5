// That checkers can fail: each is shown a lie beside the truth it takes.
import { expect, it } from 'vitest';
import { freshRecord, type Record } from '../../../firstboot/protocol/record.ts';
import { acceptanceStatement, lossStatement } from '../../../firstboot/protocol/signatures.ts';
import type {
  Ballot,
  Certificate,
  ClusterId,
  Hash,
  Identity,
  Incarnation,
  Signed,
} from '../../../firstboot/protocol/terms.ts';
import { place } from '../../../formats/roster.ts';
import { scheduleSchema } from '../schedule.ts';
import { sealsOf } from '../seals.ts';
import { World } from '../world.ts';
import { allCheckers } from './index.ts';

const scenario = scheduleSchema.parse({ version: 1, devices: 3, schedule: [] });
const life = (index: number) => (100 + index) as Incarnation;
const ballot: Ballot = { round: 1, place: place(1), incarnation: life(1) };
const identity = (letter: string): Identity => ({
  cluster: letter.repeat(12) as ClusterId,
  ca: 'c'.repeat(64) as Hash,
  founder: place(1),
});

/** What breaks when the first boards' disks hold these records, one after the other. */
function brokenBy(...changes: readonly Partial<Record>[]): readonly string[] {
  const world = new World(scenario, allCheckers(), false);
  for (const [index, change] of changes.entries()) {
    const board = world.device(index + 1);
    if (board === undefined) throw new Error('no such board');
    world.onPersisted(board, { ...freshRecord(board.stamped, index, life(index + 1)), ...change });
  }
  return world.violations.map(({ promise }) => promise);
}

const site = new World(scenario, [], false).device(1)?.stamped ?? expect.fail();

function signedBy(places: readonly number[], words: (index: number) => string): readonly Signed[] {
  return places.map((index) => {
    const signature = sealsOf(index).sign(words(index));
    return { place: place(index), incarnation: life(index), signature };
  });
}

/** `said` is what was signed, where it is not what is claimed. */
function certificate(places: readonly number[], value: Identity, said = value): Certificate {
  const words = (index: number) => acceptanceStatement(site, 1, ballot, said, place(index), life(index));
  return { generation: 1, ballot, value, signers: signedBy(places, words) };
}

function next(decided: Certificate, silent: readonly number[]): Partial<Record> {
  const { cluster } = decided.value;
  const words = (index: number) => lossStatement('silent', site, 1, cluster, place(index), life(index));
  const signers = signedBy(silent, words);
  return { generation: 2, past: [{ certificate: decided, proof: { kind: 'lost', signers } }] };
}

const [a, b] = [identity('a'), identity('b')];

it('one identity: a quorum must have signed just this, and nothing else beside it', () => {
  const promise = 'one identity a generation';
  expect(brokenBy({ decided: certificate([1, 2], a) })).toEqual([]);
  expect(brokenBy({ decided: certificate([1], a) })).toEqual([promise]);
  expect(brokenBy({ decided: certificate([1, 1], a) })).toEqual([promise]);
  expect(brokenBy({ decided: certificate([1, 2], b, a) })).toEqual([promise]);
  const two = [{ decided: certificate([1, 2], a) }, { decided: certificate([2, 3], b) }];
  expect(brokenBy(...two)).toEqual([promise]);
});

it('proven generations: every way into one is looked at, not the first alone', () => {
  const promise = 'a next generation only by proof';
  const decided = certificate([1, 2], a);
  expect(brokenBy(next(decided, [2, 3]))).toEqual([]);
  expect(brokenBy(next(decided, [2]))).toEqual([promise]);
  expect(brokenBy(next(certificate([1], a), [2, 3]))).toEqual([promise]);
  expect(brokenBy({ generation: 2 })).toEqual([promise]);
  expect(brokenBy(next(decided, [2, 3]), next(decided, [3]))).toEqual([promise]);
});
