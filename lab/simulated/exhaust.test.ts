import { describe, expect, it } from 'vitest';
import { exhaust } from './exhaust.ts';

describe('three electors, two proposers, every order', () => {
  it('a ballot each, and a restart anywhere: no world with two decisions, and some with one', () => {
    const { worlds, decided, contradictions } = exhaust(1, 1, 300_000);
    expect(worlds).toBeGreaterThan(100_000);
    expect(worlds, 'all of them').toBeLessThan(300_000);
    expect(decided).toBeGreaterThan(0);
    expect(contradictions).toBe(0);
  }, 180_000);
});
