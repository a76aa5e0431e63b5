// Twenty power cuts over two devices' lives: none is a brick afterwards, and nothing that was synced is lost.
import { expect, it } from 'vitest';
import { cutPower } from './power.ts';

it('a device comes up after power cuts at any instant, with all that was synced', async () => {
  const { bricks, lost, cuts, checked, complaints } = await cutPower({
    cuts: 20,
    seed: 1,
    say: (line) => console.log(line),
  });
  expect({ bricks, lost, cuts, complaints }).toEqual({ bricks: 0, lost: 0, cuts: 20, complaints: [] });
  expect(checked).toBeGreaterThan(10);
}, 2_400_000);
