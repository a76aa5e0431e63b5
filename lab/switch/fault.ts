// What can be wrong with the way from one port to another.
import { z } from 'zod';

const chance = z.number().min(0).max(1);

/** Faults of one direction. Times are in milliseconds, chances from 0 to 1. */
export const faultSchema = z.strictObject({
  /** Nothing passes. */
  cut: z.boolean().optional(),
  /** Chance that a frame is lost. */
  lose: chance.optional(),
  /** Every frame is late by this much, ms. */
  delay: z.number().min(0).max(600_000).optional(),
  /** And by up to this much more, evenly spread, ms: frames then overtake each other. */
  jitter: z.number().min(0).max(600_000).optional(),
  /** Chance that a frame arrives twice. */
  duplicate: chance.optional(),
});

/** As given by a person: what is left out is not a fault. */
export type Fault = z.infer<typeof faultSchema>;

/** All faults on one way, added up. */
export interface Trouble {
  readonly cut: boolean;
  readonly lose: number;
  readonly delay: number;
  readonly jitter: number;
  readonly duplicate: number;
}

const none: Trouble = { cut: false, lose: 0, delay: 0, jitter: 0, duplicate: 0 };

/** Faults one behind the other: times add up, chances are independent. */
export function addUp(faults: readonly (Fault | undefined)[]): Trouble {
  let sum = none;
  for (const fault of faults) {
    if (fault === undefined) continue;
    sum = {
      cut: sum.cut || (fault.cut ?? false),
      lose: either(sum.lose, fault.lose ?? 0),
      delay: sum.delay + (fault.delay ?? 0),
      jitter: sum.jitter + (fault.jitter ?? 0),
      duplicate: either(sum.duplicate, fault.duplicate ?? 0),
    };
  }
  return sum;
}

function either(a: number, b: number): number {
  return 1 - (1 - a) * (1 - b);
}
