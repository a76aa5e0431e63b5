import { type FileHandle, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import {
  type BootState,
  bootStateSize,
  chooseSlot,
  encodeBootState,
  flashedState,
  successor,
} from '../../formats/bootstate.ts';
import { sealStamp } from '../../formats/stamp.ts';
import { pathsUnder } from '../boot/paths.ts';
import { diskBytes, makeDevice, siteKeys, slotBytes, stamp } from '../device.fixture.ts';
import { nextSlotStep, type SlotFacts } from './decide.ts';
import { openDisk, readBootState, writeBootState } from './disk.ts';
import { type Filling, fillSlot, type Manner } from './fill.ts';
import { SlotKeeper } from './keeper.ts';

const region = sealStamp(stamp, siteKeys.privateKey);
const { a: slotA, b: slotB } = stamp.disk.slots;

async function device(state?: BootState): Promise<{ root: string; path: string }> {
  const root = await makeDevice({ '/dev/vda': diskBytes(state) });
  onTestFinished(() => rm(root, { recursive: true }));
  return { root, path: join(root, 'dev/vda') };
}

async function opened(state?: BootState): Promise<{ disk: FileHandle; path: string }> {
  const { path } = await device(state);
  const disk = await openDisk(path, region);
  onTestFinished(() => disk.close());
  return { disk, path };
}

const anyState: fc.Arbitrary<BootState> = fc.record({
  seq: fc.nat(9),
  primary: fc.constantFrom('a', 'b'),
  a: fc.constantFrom('good', 'trial', 'bad'),
  b: fc.constantFrom('good', 'trial', 'bad'),
  left: fc.nat(9),
});

test('states written one after the other read back, and touch nothing else', async () => {
  const { disk, path } = await opened();
  let state = flashedState;
  for (let step = 0; step < 25; step += 1) {
    expect(await readBootState(disk, stamp)).toEqual(state);
    state = { ...state, seq: successor(state.seq), left: step % 10, b: step % 2 === 0 ? 'good' : 'bad' };
    await writeBootState(disk, stamp, state);
  }
  const before = diskBytes();
  const after = await readFile(path);
  for (const { start } of stamp.disk.bootState) {
    before.fill(0, start, start + bootStateSize);
    after.fill(0, start, start + bootStateSize);
  }
  expect(after.equals(before)).toBe(true);
});

test('a power cut while writing leaves the state that was or the one that is', async () => {
  const { disk, path } = await opened();
  await fc.assert(
    fc.asyncProperty(anyState, anyState, fc.constantFrom([0], [1]), async (first, next, sectors) => {
      const now: BootState = { ...next, seq: successor(first.seq) };
      const [one, two] = stamp.disk.bootState;
      await writeFile(path, diskBytes(), { flag: 'r+' });
      await disk.write(encodeBootState({ ...first, seq: (first.seq + 9) % 10 }), 0, bootStateSize, two.start);
      await disk.write(encodeBootState(first), 0, bootStateSize, one.start);
      const before = await readFile(path);
      await writeBootState(disk, stamp, now);
      const after = await readFile(path);
      // Only some of the sectors of the write made it.
      const torn = Buffer.from(before);
      for (const sector of sectors) {
        const at = two.start + 512 * sector;
        after.copy(torn, at, at, at + 512);
      }
      await disk.write(torn, 0, torn.length, 0);
      expect([first, now]).toContainEqual(await readBootState(disk, stamp));
    }),
    { numRuns: 40 },
  );
});

test('a disk that does not carry the stamp is not opened', async () => {
  const { path } = await device();
  const other = sealStamp({ ...stamp, place: 2 }, siteKeys.privateKey);
  await expect(openDisk(path, other)).rejects.toThrow('does not carry the stamp of this boot');
});

const filling: Filling = { from: slotA, to: slotB, ...stamp.slot };

function manner(changed: Partial<Manner> = {}): Manner {
  return {
    signal: new AbortController().signal,
    progress: () => undefined,
    forget: async () => undefined,
    rest: async () => undefined,
    ...changed,
  };
}

function mappedOf(disk: Buffer, start: number): Buffer {
  return Buffer.concat(stamp.slot.mapped.map(([from, to]) => disk.subarray(start + from, start + to)));
}

test('a filled slot holds the mapped ranges of the other, and nothing else is written', async () => {
  const { disk, path } = await opened();
  const seen: number[] = [];
  await fillSlot(disk, filling, manner({ progress: (done, total) => seen.push(done / total) }));
  const after = await readFile(path);
  expect(mappedOf(after, slotB.start).equals(mappedOf(slotBytes, 0))).toBe(true);
  expect(seen).toEqual([...seen].sort((x, y) => x - y));
  expect(seen.at(-1)).toBe(1);
  const before = diskBytes();
  for (const [start, end] of stamp.slot.mapped) {
    before.fill(0, slotB.start + start, slotB.start + end);
    after.fill(0, slotB.start + start, slotB.start + end);
  }
  expect(after.equals(before)).toBe(true);
});

test('an interrupted filling goes on: what was copied is not written again', async () => {
  const { disk } = await opened();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 8 }), async (chunks) => {
      await disk.write(diskBytes(), 0, null, 0);
      const stop = new AbortController();
      let passed = 0;
      const stopping = manner({
        signal: stop.signal,
        progress: () => {
          passed += 1;
          if (passed >= chunks) stop.abort();
        },
      });
      await fillSlot(disk, filling, stopping).catch((error: Error) => expect(error.name).toBe('AbortError'));
      await fillSlot(disk, filling, manner());
      const { writes } = await counting(disk, (counted) => fillSlot(counted, filling, manner()));
      expect(writes).toBe(0);
    }),
    { numRuns: 10 },
  );
});

async function counting(
  disk: FileHandle,
  work: (disk: FileHandle) => Promise<void>,
): Promise<{ writes: number }> {
  let writes = 0;
  const counted = new Proxy(disk, {
    get(target, name) {
      if (name === 'write') writes += 1;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  await work(counted);
  return { writes };
}

test('a source that rotted is not passed on as good', async () => {
  const { disk } = await opened();
  await disk.write(Buffer.from([0]), 0, 1, slotA.start + 70_000);
  await expect(fillSlot(disk, filling, manner())).rejects.toThrow('the slot to copy is not what was flashed');
});

test('a copy that does not read back is not passed on as good', async () => {
  const { disk } = await opened();
  const rot = manner({
    forget: async () => {
      await disk.write(Buffer.from([0]), 0, 1, slotB.start + 70_000);
    },
  });
  await expect(fillSlot(disk, filling, rot)).rejects.toThrow('does not read back');
});

test.each([
  ['overlapping slots', { ...filling, to: { ...slotA, start: slotA.start + 4096 } }, 'the slots overlap'],
  [
    'a range behind the slot',
    { ...filling, mapped: [[0, slotB.size + 1]] as const },
    'is not one of the slot',
  ],
  [
    'ranges out of order',
    {
      ...filling,
      mapped: [
        [4096, 8192],
        [0, 512],
      ] as const,
    },
    'is not one of the slot',
  ],
  ['an empty range', { ...filling, mapped: [[512, 512]] as const }, 'is not one of the slot'],
])('%s are refused before a byte is written', async (_, bad, why) => {
  const { disk, path } = await opened();
  await expect(fillSlot(disk, bad, manner())).rejects.toThrow(why);
  expect((await readFile(path)).equals(diskBytes())).toBe(true);
});

const facts: SlotFacts = {
  state: { ...flashedState, left: 8 },
  running: 'a',
  now: 100,
  healthySince: 20,
  networkSeen: true,
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
    'not without a network',
    { state: trialB, running: 'b', networkSeen: false },
    { kind: 'wait', why: 'no network was seen since the boot' },
  ],
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

test('the keeper confirms, fills and says so, on a disk', async () => {
  const { root, path } = await device({ ...flashedState, left: 5 });
  const paths = pathsUnder(root);
  const keeper = await SlotKeeper.open(paths, path, stamp, 'a');
  onTestFinished(() => keeper.close());
  const seen: object[] = [];
  for (let now = 200; now < 300; now += 5) {
    await keeper.look({ healthy: true, network: true, now });
    const { state } = keeper.view();
    if (state !== undefined && seen.at(-1) !== state) seen.push(state);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(seen).toEqual([
    { seq: 0, primary: 'a', a: 'good', b: 'bad', left: 5 },
    { seq: 1, primary: 'a', a: 'good', b: 'bad', left: 9 },
    { seq: 2, primary: 'a', a: 'good', b: 'good', left: 9 },
  ]);
  expect(await readFile(paths.confirmed, 'utf8')).toBe('');
  expect(await readFile(paths.dropCaches, 'utf8')).toBe('1');
});
