import { describe, expect, it } from 'vitest';
import { Failure, renderError } from '../../formats/errors.ts';
import { parseProfile } from '../profile/load.ts';
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
      `input: shop.yaml:6:15: two slots and data do not fit a medium of 8192 MiB: 1092 MiB too little
    6 | slots: {size: 4GiB}
      |               ^^^^
  because: two slots of 4096 MiB, and 1024 MiB for data
  to do: make the slots smaller, or use a larger medium`,
    );
  });
});
