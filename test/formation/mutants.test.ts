import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mutants } from './mutants.ts';

// That each is caught takes minutes and is run by `npm run mutants`; that each still weakens a rule is looked at here.
describe('mutants', () => {
  it.each(mutants)('$rule: its text occurs once', ({ file, from }) => {
    const source = readFileSync(new URL(`../../firstboot/protocol/${file}`, import.meta.url), 'utf8');
    expect(source.split(from).length - 1).toBe(1);
  });
  it('there are enough', () => expect(mutants.length).toBeGreaterThanOrEqual(20));
});
