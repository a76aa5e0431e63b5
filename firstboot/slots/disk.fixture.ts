// A device's disk as a file, for tests of the slots.
import { type FileHandle, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { onTestFinished } from 'vitest';
import type { BootState } from '../../formats/bootstate.ts';
import { sealStamp } from '../../formats/stamp.ts';
import { diskBytes, makeDevice, siteKeys, stamp } from '../device.fixture.ts';
import { openDisk } from './disk.ts';

const region = sealStamp(stamp, siteKeys.privateKey);

/** A device whose disk holds this boot state; gone when the test ends. */
export async function device(state?: BootState): Promise<{ root: string; path: string }> {
  const root = await makeDevice({ '/dev/vda': diskBytes(state) });
  onTestFinished(() => rm(root, { recursive: true }));
  return { root, path: join(root, 'dev/vda') };
}

/** The same, opened. */
export async function opened(state?: BootState): Promise<{ disk: FileHandle; path: string }> {
  const { path } = await device(state);
  const disk = await openDisk(path, region);
  onTestFinished(() => disk.close());
  return { disk, path };
}

/** Any boot state at all, sensible or not. */
export const anyState: fc.Arbitrary<BootState> = fc.record({
  seq: fc.nat(9),
  primary: fc.constantFrom('a', 'b'),
  a: fc.constantFrom('good', 'trial', 'bad'),
  b: fc.constantFrom('good', 'trial', 'bad'),
  left: fc.nat(9),
});
