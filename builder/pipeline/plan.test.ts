import { describe, expect, it } from 'vitest';
import { Failure, renderError, renderProblem } from '../../formats/errors.ts';
import { parseProfile } from '../profile/load.ts';
import { budgetOf, overBudget } from './budget.ts';
import { planBoards } from './plan.ts';

function load(more: string) {
  const text = `apiVersion: edgekiln/v1\nsite: {name: shop}\nboard: qemu-x86_64\nk3s: {standIn: true}\ndevices: [{name: one}, {name: two}]\n${more}`;
  return parseProfile(Buffer.from(text), 'shop.yaml');
}

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Failure) return `${error.kind}: ${renderError(error)}`;
  }
  return 'nothing was refused';
}

describe('the plan', () => {
  it('gives every partition its own place, in MiB', () => {
    const [plan] = planBoards(load('slots: {size: 1000MiB}\n'));
    const MiB = 1024 ** 2;
    expect(plan?.devices.map(({ name, place }) => [name, place])).toEqual([
      ['one', 1],
      ['two', 2],
    ]);
    expect(plan?.layout).toEqual({
      esp: { start: 4 * MiB, size: 64 * MiB },
      slotA: { start: 68 * MiB, size: 1000 * MiB },
      slotB: { start: 1068 * MiB, size: 1000 * MiB },
      data: { start: 2068 * MiB, size: MiB },
      size: 2070 * MiB,
    });
  });

  it('refuses a medium that is too small, by how much, at the line', () => {
    expect(refusal(() => planBoards(load('slots: {size: 4GiB}\ndisk: {size: 8GiB}\n')))).toBe(
      `input: shop.yaml:7:14: two slots and data do not fit a medium of 8192 MiB: 1437 MiB too little
    7 | disk: {size: 8GiB}
      |              ^^^^
  because: two slots of 4096 MiB, and 1368 MiB for data: datastore 512 MiB, journal 64 MiB, container logs 450 MiB, at most 75 % full
  to do: make the slots or limits smaller, or use a larger medium and write disk: {size: …}`,
    );
    // Where the medium is the board's, the slots are what the profile says.
    expect(refusal(() => planBoards(load('slots: {size: 4GiB}\n')))).toMatch(
      /^input: shop\.yaml:6:15: two slots and data do not fit a medium of 7630 MiB/,
    );
    expect(refusal(() => planBoards(load('limits: {journal: 7GiB}\n')))).toMatch(
      /^input: shop\.yaml:3:8: two slots and data do not fit a medium of 7630 MiB: .*\n +3 \| board: qemu-x86_64\n/,
    );
    // The board of a device, however it is written.
    const own = `apiVersion: edgekiln/v1\nsite: {name: shop}\nk3s: {standIn: true}\ndevices:\n  - name: one\n    board: "qemu-x86_64"\nlimits: {journal: 7GiB}\n`;
    expect(refusal(() => planBoards(parseProfile(Buffer.from(own), 'shop.yaml')))).toMatch(
      /^input: shop\.yaml:6:12: two slots and data/,
    );
  });
});

describe('the budget', () => {
  const MiB = 1024 ** 2;
  const loaded = load('slots: {size: 1GiB}\n');
  const [plan] = planBoards(loaded);
  if (plan === undefined) throw new Error('there is no plan');

  it('keeps a quarter of an image free for the next one, and room for what piles up on data', () => {
    const budget = budgetOf(plan, loaded.profile, {
      slot: 400 * MiB,
      images: 100 * MiB,
      exact: true,
    });
    expect(budget.slot).toEqual({ size: 1024 * MiB, used: 400 * MiB, growth: 100 * MiB, exact: true });
    expect(budget.data.parts).toEqual({
      'next image': 500 * MiB,
      'k3s unpacked': 0,
      'container images': 500 * MiB,
      datastore: 512 * MiB,
      journal: 64 * MiB,
      'container logs': 450 * MiB,
    });
    expect(budget.data.needs).toBe(Math.ceil((2026 * MiB) / 0.75));
    expect(overBudget(plan, loaded, budget)).toEqual([]);
  });

  it('refuses a slot that the next image would not fit, by how much, at the line', () => {
    const refused = (exact: boolean) => {
      const budget = budgetOf(plan, loaded.profile, { slot: 900 * MiB, images: 0, exact });
      return overBudget(plan, loaded, budget).map(renderProblem);
    };
    expect(refused(false)[0]).toContain('too small: at least 101 MiB too little');
    expect(refused(false)[0]).toContain('this image takes at least 900 MiB, and');
    expect(refused(true)).toEqual([
      `shop.yaml:6:15: the slots of qemu-x86_64 are too small: 101 MiB too little
    6 | slots: {size: 1GiB}
      |               ^^^^
  because: a slot has 1024 MiB; this image takes 900 MiB, and the next one may take 25 % more
  to do: write slots: {size: 1152MiB} or more, or leave something out`,
    ]);
  });
});
