// One simulated site for a test: nothing may be broken in it, and what it came to is looked at.
import { expect } from 'vitest';
import { type Result, run } from '../../lab/simulated/run.ts';
import { type Fault, type Scenario, scheduleSchema } from '../../lab/simulated/schedule.ts';

type Loose = { readonly at: number; readonly event: Fault['event'] } & { readonly [key: string]: unknown };

/** A site of `devices`, switched on at second 0 if nothing else is said. */
export function site(devices: number, faults: readonly Loose[], options: object = {}): Result {
  const named = new Set(faults.filter((f) => f.event === 'power-on').map((f) => f['device']));
  const power = Array.from({ length: devices }, (_, index) => index + 1)
    .filter((device) => !named.has(device))
    .map((device) => ({ at: 0, event: 'power-on', device }));
  const scenario: Scenario = scheduleSchema.parse({
    version: 1,
    devices,
    lasts: 240,
    ...options,
    schedule: [...power, ...faults],
  });
  const result = run(scenario, true);
  expect(result.violations, result.world.timeline?.slice(-40).join('\n')).toEqual([]);
  return result;
}

export const marked = ({ world }: Result, mark: string) => world.marks.get(mark) ?? 0;
export const alarms = ({ world }: Result) => new Set(world.alarms.map(({ alarm }) => alarm));
export const clusters = ({ world }: Result) => world.clusters.ids.length;
export const generation = ({ world }: Result) =>
  Math.max(...world.boards.map((board) => board.state?.record.generation ?? 0));
export const on = (device: number, at: number): Loose => ({ at, event: 'power-on', device });
export const all = (devices: number, event: Fault['event'], at: number): Loose[] =>
  Array.from({ length: devices }, (_, index) => ({ at, event, device: index + 1 }));
