import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { place } from '../../formats/roster.ts';
import { applyChange, emptyJournal, type Journal } from '../protocol/journal.ts';
import { JournalStore } from './journal.ts';
import { openServed, type Served } from './served.fixture.ts';

const object = '/api/v1/namespaces/kube-system/configmaps/edgekiln-journal';
let served: Served;
let journal: JournalStore;
beforeAll(async () => {
  served = await openServed();
  journal = new JournalStore(served.serving);
}, 60_000);
afterAll(() => served?.close());
beforeEach(async () => void (await (await served.serving.api()).ask('DELETE', object)));

/** A journal in the middle of an operation. */
const growing: Journal = applyChange(emptyJournal, {
  kind: 'begin',
  operation: { kind: 'grow', candidates: [place(2), place(3)], tried: [], dead: undefined, age: 0 },
});

test('there is none at first; what is written is read again, with another version each time', async () => {
  expect(await journal.read()).toEqual({ journal: emptyJournal, version: '' });
  expect(await journal.write(growing, '')).toBe(true);
  const first = await journal.read();
  expect(first.journal).toEqual(growing);
  expect(await journal.write({ ...growing, clock: 7 }, first.version)).toBe(true);
  const second = await journal.read();
  expect(second.journal.clock).toBe(7);
  expect(second.version).not.toBe(first.version);
});

test('who was slower writes nothing, whether it was there before or not', async () => {
  expect(await journal.write(emptyJournal, '')).toBe(true);
  expect(await journal.write(growing, '')).toBe(false);
  const { version } = await journal.read();
  expect(await journal.write({ ...emptyJournal, clock: 1 }, version)).toBe(true);
  expect(await journal.write({ ...emptyJournal, clock: 2 }, version)).toBe(false);
  expect((await journal.read()).journal.clock).toBe(1);
});

test('many that change it at once each find their change in it', async () => {
  await journal.write(emptyJournal, '');
  const others = Array.from({ length: 3 }, () => new JournalStore(served.serving));
  await Promise.all(others.map((one) => one.change((was) => ({ ...was, clock: was.clock + 1 }))));
  expect((await journal.read()).journal.clock).toBe(3);
});

test('only a device that the operation names may say that it starts', async () => {
  await journal.write(growing, '');
  const refused = 'the journal does not name this device';
  await expect(journal.starting(1, place(4))).rejects.toThrow(refused);
  await expect(journal.starting(2, place(2))).rejects.toThrow(refused);
  await journal.change((was) => ({ ...was, operation: was.operation && { ...was.operation, age: 5000 } }));
  await journal.starting(1, place(2));
  expect((await journal.read()).journal.operation?.age).toBe(0);
});

test.each([['{'], ['{"clock": "1", "begun": []}'], ['[]'], ['{"clock": 1}']])(
  'a journal that says %s is not taken for an empty one',
  async (text) => {
    const api = await served.serving.api();
    const maps = object.slice(0, object.lastIndexOf('/'));
    await api.object('POST', maps, { metadata: { name: 'edgekiln-journal' }, data: { journal: text } });
    await expect(journal.read()).rejects.toThrow('the journal cannot be read');
  },
);
