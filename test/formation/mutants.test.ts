import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mutants, sourceOf } from './mutants.ts';

// That each is caught is seen in test/chains/formation.test.ts; that each still weakens a rule is looked at here.
describe('mutants', () => {
  it.each(mutants)('$rule: its text occurs once', (mutant) => {
    expect(readFileSync(sourceOf(mutant), 'utf8').split(mutant.from).length - 1).toBe(1);
  });
  it('there are enough', () => expect(mutants.length).toBeGreaterThanOrEqual(20));
});
