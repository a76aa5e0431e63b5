import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type BootState,
  bootStateSize,
  encodeBootState,
  flashedState,
  successor,
} from '../../formats/bootstate.ts';
import { sealStamp } from '../../formats/stamp.ts';
import { diskBytes, siteKeys, stamp } from '../device.fixture.ts';
import { anyState, device, opened } from './disk.fixture.ts';
import { openDisk, readBootState, writeBootState } from './disk.ts';

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
  const { disk } = await opened();
  const [one, two] = stamp.disk.bootState;
  const copyAt = async (start: number): Promise<Buffer> =>
    (await disk.read(Buffer.alloc(bootStateSize), 0, bootStateSize, start)).buffer;
  await fc.assert(
    fc.asyncProperty(anyState, anyState, fc.constantFrom([0], [1]), async (first, next, sectors) => {
      const now: BootState = { ...next, seq: successor(first.seq) };
      await disk.write(encodeBootState({ ...first, seq: (first.seq + 9) % 10 }), 0, bootStateSize, two.start);
      await disk.write(encodeBootState(first), 0, bootStateSize, one.start);
      const torn = await copyAt(two.start);
      await writeBootState(disk, stamp, now);
      expect(await copyAt(one.start)).toEqual(encodeBootState(first));
      const after = await copyAt(two.start);
      // Only some of the sectors of the write made it.
      for (const sector of sectors) after.copy(torn, 512 * sector, 512 * sector, 512 * sector + 512);
      await disk.write(torn, 0, torn.length, two.start);
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

test.each([0, 512, 3 * 1024 * 1024 + 1024])('a boot state at byte %d is never written', async (start) => {
  const { disk, path } = await opened();
  const wrong = {
    ...stamp,
    disk: {
      ...stamp.disk,
      bootState: [
        { start, size: 1024 },
        { start, size: 1024 },
      ],
    },
  } as const;
  await expect(readBootState(disk, wrong)).rejects.toThrow('it cannot be');
  await expect(writeBootState(disk, wrong, flashedState)).rejects.toThrow('it cannot be');
  expect((await readFile(path)).equals(diskBytes())).toBe(true);
});
