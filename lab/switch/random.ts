// Reproducible chance: the same seed gives the same lost, delayed and torn things again.

/** Gives numbers in [0, 1). */
export type Random = () => number;

/** A generator from a 32-bit seed (mulberry32: tiny, full period, good enough for faults; never for secrets). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
