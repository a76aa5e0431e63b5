import { type FileHandle, readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { diskBytes, slotBytes, stamp } from '../device.fixture.ts';
import { opened } from './disk.fixture.ts';
import { type Filling, fillSlot, type Manner } from './fill.ts';

const { a: slotA, b: slotB } = stamp.disk.slots;
const filling: Filling = { from: slotA, to: slotB, ...stamp.slot };

function manner(changed: Partial<Manner> = {}): Manner {
  return {
    signal: new AbortController().signal,
    leisure: 4,
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
  ['a stamp without ranges', { ...filling, mapped: [] }, 'does not say what the slot holds'],
  ['an empty range', { ...filling, mapped: [[512, 512]] as const }, 'is not one of the slot'],
])('%s are refused before a byte is written', async (_, bad, why) => {
  const { disk, path } = await opened();
  await expect(fillSlot(disk, bad, manner())).rejects.toThrow(why);
  expect((await readFile(path)).equals(diskBytes())).toBe(true);
});
