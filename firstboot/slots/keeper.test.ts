import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type BootState, flashedState } from '../../formats/bootstate.ts';
import { pathsUnder } from '../boot/paths.ts';
import { stamp } from '../device.fixture.ts';
import { device } from './disk.fixture.ts';
import { writeBootState } from './disk.ts';
import { fillSlot } from './fill.ts';
import type { Filler } from './filler.ts';
import { SlotKeeper } from './keeper.ts';

/** In this process: the agent's own test starts the program. */
const fillHere =
  (path: string): Filler =>
  async (manner) => {
    const disk = await open(path, 'r+');
    const { slots } = stamp.disk;
    const forget = async () => {};
    await fillSlot(disk, { from: slots.a, to: slots.b, ...stamp.slot }, { ...manner, forget });
    await disk.close();
  };

test('the keeper confirms, fills and says so, on a disk', async () => {
  const { root, path } = await device({ ...flashedState, left: 5 });
  const paths = pathsUnder(root);
  const keeper = await SlotKeeper.open(paths, path, stamp, 'a', fillHere(path));
  onTestFinished(() => keeper.close());
  const seen: object[] = [];
  // The filling takes its time, more of it on a busy machine.
  for (let now = 200; now < 2000 && keeper.view().state?.b !== 'good'; now += 5) {
    await keeper.look({ healthy: true, network: true, back: true, data: true, now });
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
});

test('a trial without a network is put off twice, tried again where there is one, and then bad', async () => {
  const trial: BootState = { seq: 4, primary: 'b', a: 'good', b: 'trial', left: 2 };
  const { root, path } = await device(trial);
  const paths = pathsUnder(root);
  await mkdir(dirname(paths.putOff), { recursive: true });
  const seen: unknown[] = [];
  const boot = async (running: 'a' | 'b', network: boolean) => {
    const keeper = await SlotKeeper.open(paths, path, stamp, running, fillHere(path));
    for (const now of [400, 500, 700, 800])
      await keeper.look({ healthy: true, network, back: true, data: true, formed: false, now });
    const { primary, b, left } = keeper.view().state ?? {};
    seen.push([running, primary, b, left]);
    await keeper.close();
  };
  for (let times = 0; times < 3; times += 1) {
    await boot('b', false);
    await boot('a', true);
  }
  expect(seen).toEqual([
    ['b', 'a', 'trial', 9],
    ['a', 'b', 'trial', 3],
    ['b', 'a', 'trial', 9],
    ['a', 'b', 'trial', 3],
    ['b', 'a', 'bad', 9],
    ['a', 'a', 'bad', 9],
  ]);
  expect(JSON.parse(await readFile(paths.slotMemory, 'utf8')).setback).toMatchObject({
    slot: 'b',
    why: 'no network on trial',
  });
  // The verdict is given: the next trial starts anew.
  await expect(readFile(paths.putOff)).rejects.toThrow('ENOENT');
});

test('what the boot script did between two starts is told, and again after the next', async () => {
  const { root, path } = await device({ seq: 1, primary: 'a', a: 'good', b: 'good', left: 8 });
  const paths = pathsUnder(root);
  await mkdir(dirname(paths.slotMemory), { recursive: true });
  const toldBy = async (running: 'a' | 'b') => {
    const keeper = await SlotKeeper.open(paths, path, stamp, running, fillHere(path));
    const { setback } = keeper.view();
    await keeper.close();
    return setback;
  };
  expect(await toldBy('a')).toBeUndefined();
  const disk = await open(path, 'r+');
  await writeBootState(disk, stamp, { seq: 2, primary: 'b', a: 'good', b: 'good', left: 8 });
  await disk.close();
  const told = await toldBy('b');
  expect(told).toMatchObject({ slot: 'a', why: 'never reached its agent' });
  expect(await toldBy('b')).toEqual(told);
});
