// Twenty power cuts over two devices' lives: none is a brick afterwards, and nothing that was synced is lost.
import { expect, it } from 'vitest';
import { cutPower } from './power.ts';
import { mutants, weakened } from './power-mutants.ts';

it('a device comes up after power cuts at any instant, with all that was synced', async () => {
  const report = await cutPower({ cuts: 20, seed: 1, say: (line) => console.log(line) });
  expect(report).toMatchObject({ cuts: 20, bricks: 0, lost: 0, complaints: [] });
  expect(report.checked).toBeGreaterThan(10);
  // The cuts were where they were meant to be, and the disk had something to lose.
  for (const phase of ['first boot', 'filling of slot B', 'trial boot', 'confirmation', 'confirmed'] as const)
    expect(report.phases[phase], phase).toBeGreaterThan(0);
  const { lost, kept, torn } = report.writes;
  expect(Math.min(lost, kept, torn)).toBeGreaterThan(0);
}, 2_400_000);

it.each(Object.entries(mutants))('the mutant %s can still be made', (_, mutant) => {
  expect(weakened(mutant)).toContain(mutant.to);
});
