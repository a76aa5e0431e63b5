import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blockSize } from '../pack/bmap.ts';
import { stretches } from './zst.ts';

const MiB = 1024 ** 2;

it('an image is divided into stretches without a gap, and no run of blocks is in two', () => {
  const runsOf = (cuts: readonly number[]) => {
    const places = [...new Set(cuts)].sort((a, b) => a - b);
    return places.flatMap((place, index) => {
      const end = places[index + 1];
      if (index % 2 === 1 || end === undefined) return [];
      return [{ start: place * blockSize, end: end * blockSize, sha256: String(index) }];
    });
  };
  const size = 500 * MiB;
  fc.assert(
    fc.property(fc.array(fc.nat(size / blockSize), { maxLength: 12 }), (cuts) => {
      const runs = runsOf(cuts);
      const found = stretches({ size, runs });
      expect(found[0]?.start).toBe(0);
      expect(found.at(-1)?.end).toBe(size);
      for (const [index, { start }] of found.entries())
        if (index > 0) expect(start).toBe(found[index - 1]?.end);
      for (const run of runs) {
        const holders = found.filter(({ start, end }) => run.start < end && run.end > start);
        expect(holders).toHaveLength(1);
        expect(holders[0]?.content).toContain(run.sha256);
      }
      for (const { start, end, content } of found)
        expect(content === '').toBe(!runs.some((run) => run.start < end && run.end > start));
    }),
  );
});

it('two devices whose stamps differ share all but the first stretch', () => {
  const device = (stamp: string) =>
    stretches({
      size: 200 * MiB,
      runs: [
        { start: 3 * MiB, end: 3 * MiB + 65_536, sha256: stamp },
        { start: 4 * MiB, end: 90 * MiB, sha256: 'slot' },
      ],
    }).map(({ content }) => content);
  const [one, two] = [device('one'), device('two')];
  expect(one[0]).not.toBe(two[0]);
  expect(one.slice(1)).toEqual(two.slice(1));
  expect(one.at(-1)).toBe('');
});
