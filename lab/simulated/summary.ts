// What many runs come to: the last line of every run of the simulator, as JSON.
import { draw } from './draw.ts';
import { type Result, run } from './run.ts';
import { runServers } from './servers.ts';
import type { Violation } from './world.ts';

/** What one batch of seeds came to; batches of several workers are joined. */
export interface Batch {
  readonly seeds: number;
  readonly violations: readonly (Violation & { readonly seed: number })[];
  /** Seconds from power-on to the founder's start, of runs whose founding no fault stood in the way of. */
  readonly founded: readonly number[];
  /** The same to the decision. */
  readonly decided: readonly number[];
  readonly marks: Readonly<Record<string, number>>;
}

export interface Summary {
  readonly seeds: number;
  readonly violations: number;
  readonly p50_s: number | null;
  readonly p99_s: number | null;
  /** To the decision. */
  readonly decided_p99_s: number | null;
}

export function runSeeds(from: number, count: number): Batch {
  const violations: (Violation & { seed: number })[] = [];
  const founded: number[] = [];
  const decided: number[] = [];
  const marks: Record<string, number> = {};
  for (let seed = from; seed < from + count; seed += 1) {
    const result = runOrTell(seed);
    if (!('world' in result)) {
      violations.push(...result.violations);
      continue;
    }
    for (const violation of result.violations) violations.push({ ...violation, seed });
    if (result.foundedAfter !== undefined && result.calm) founded.push(result.foundedAfter);
    if (result.decidedAfter !== undefined) decided.push(result.decidedAfter);
    for (const [mark, times] of result.world.marks) marks[mark] = (marks[mark] ?? 0) + times;
  }
  return { seeds: count, violations, founded, decided, marks };
}

/** What a run came to, or the error it ended with: a seed that throws must still be named. */
function runOrTell(seed: number): Result | Batch {
  try {
    return run(draw(seed));
  } catch (error) {
    return unended(seed, error);
  }
}

/** A run that ended with an error of its own. */
export function unended(seed: number, error: unknown): Batch {
  const what = error instanceof Error ? error.message : String(error);
  const violations = [{ promise: 'a run comes to its end', at: 0, what, seed }];
  return { seeds: 1, violations, founded: [], decided: [], marks: {} };
}

export function runServerSeeds(from: number, count: number): Batch {
  const violations: (Violation & { seed: number })[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    for (const what of runServers(seed).violations)
      violations.push({ promise: 'servers', at: 0, what, seed });
  }
  return { seeds: count, violations, founded: [], decided: [], marks: {} };
}

export function joinBatches(batches: readonly Batch[]): Batch {
  const marks: Record<string, number> = {};
  for (const batch of batches) {
    for (const [mark, times] of Object.entries(batch.marks)) marks[mark] = (marks[mark] ?? 0) + times;
  }
  return {
    seeds: batches.reduce((sum, batch) => sum + batch.seeds, 0),
    violations: batches.flatMap((batch) => batch.violations),
    founded: batches.flatMap((batch) => batch.founded),
    decided: batches.flatMap((batch) => batch.decided),
    marks,
  };
}

export function summarize({ seeds, violations, founded, decided }: Batch): Summary {
  return {
    seeds,
    violations: violations.length,
    p50_s: quantile(founded, 0.5),
    p99_s: quantile(founded, 0.99),
    decided_p99_s: quantile(decided, 0.99),
  };
}

function quantile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? null : Math.round(value * 10) / 10;
}
