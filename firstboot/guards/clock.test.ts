import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Clock } from './clock.ts';

async function device(): Promise<{ image: string; saved: string; set: number[]; clock: Clock }> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekiln-clock-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const image = join(folder, 'agent.json');
  await writeFile(image, '{}');
  const saved = join(folder, 'kept/clock');
  const set: number[] = [];
  const clock = new Clock(saved, (seconds) => Promise.resolve(void set.push(seconds)));
  return { image, saved, set, clock };
}

const soon = Math.floor(Date.now() / 1000) + 1000;

test('the image is a floor, and so is the time that was kept', async () => {
  const { image, saved, set, clock } = await device();
  await clock.raiseToFloor(image);
  expect(set).toEqual([]);
  await utimes(image, soon, soon);
  await clock.raiseToFloor(image);
  expect(set).toEqual([soon]);
  await clock.save();
  expect(Number(await readFile(saved, 'utf8'))).toBeGreaterThan(soon - 1100);
  await writeFile(saved, String(soon + 50));
  await clock.raiseToFloor(image);
  expect(set).toEqual([soon, soon + 50]);
});

test('it is never set back, nor to what cannot be', async () => {
  const { saved, set, clock, image } = await device();
  expect(await clock.raise(soon - 5000)).toBe(false);
  expect(await clock.raise(9_999_999_999)).toBe(false);
  expect(await clock.raise(Number.NaN)).toBe(false);
  expect(await clock.raise(soon)).toBe(true);
  await clock.save();
  await writeFile(saved, 'torn');
  await clock.raiseToFloor(image);
  expect(set).toEqual([soon]);
});

test('what is kept is never behind what was: the clock may not have been raised', async () => {
  const { saved, clock } = await device();
  await clock.save();
  await writeFile(saved, `${soon}\n`);
  await clock.save();
  expect(await readFile(saved, 'utf8')).toBe(`${soon}\n`);
});
