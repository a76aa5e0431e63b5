import { readFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { flashedState } from '../../formats/bootstate.ts';
import { pathsUnder } from '../boot/paths.ts';
import { stamp } from '../device.fixture.ts';
import { device } from './disk.fixture.ts';
import { SlotKeeper } from './keeper.ts';

test('the keeper confirms, fills and says so, on a disk', async () => {
  const { root, path } = await device({ ...flashedState, left: 5 });
  const paths = pathsUnder(root);
  const keeper = await SlotKeeper.open(paths, path, stamp, 'a');
  onTestFinished(() => keeper.close());
  const seen: object[] = [];
  // The filling takes its time, more of it on a busy machine.
  for (let now = 200; now < 2000 && keeper.view().state?.b !== 'good'; now += 5) {
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
