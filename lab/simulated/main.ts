// `npm run simulate -- [--seeds N] [--from S] [--seed S] [--schedule FILE] [--sites N [--claimed]] [--timeline]`
// The last line is JSON: {"seeds", "violations", "p50_s", "p99_s"}. Exit code 1 where a promise was broken.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { exitCodeOf, Failure, renderError } from '../../formats/errors.ts';
import { largestPlace } from '../../formats/roster.ts';
import { draw, largeSite } from './draw.ts';
import { runPool } from './pool.ts';
import { type Result, run } from './run.ts';
import { type Scenario, scheduleSchema } from './schedule.ts';
import { type Batch, joinBatches, summarize, unended } from './summary.ts';

const usage = `simulate: whole sites of the formation protocol in virtual time
  --seeds N         run N drawn sites of 1 to 7 devices (default 10000), from seed --from (default 0)
  --seed S          run one drawn site; --timeline prints what happened
  --schedule FILE   run one site with the faults of a file (docs/formation.md, "Schedules")
  --sites N         one calm site of N devices (up to 253); with --claimed of boards without places
  --marks           say how often each rule was used
  --workers N       threads (default: one a core)`;

type Options = ReturnType<typeof readOptions>;

try {
  process.exitCode = await main(readOptions());
} catch (error) {
  process.stderr.write(`${renderError(error)}\n`);
  process.exitCode = exitCodeOf(error);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string' },
        from: { type: 'string' },
        seed: { type: 'string' },
        schedule: { type: 'string' },
        sites: { type: 'string' },
        claimed: { type: 'boolean', default: false },
        timeline: { type: 'boolean', default: false },
        marks: { type: 'boolean', default: false },
        workers: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Failure('input', {
      what: error instanceof Error ? error.message : String(error),
      fix: 'npm run simulate -- --help',
    });
  }
}

async function main(values: Options): Promise<number> {
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  checkTogether(values);
  const batch = await chosen(values);
  for (const violation of batch.violations.slice(0, 20)) {
    process.stdout.write(`${inWords(violation)}\n`);
  }
  if (values.marks) {
    for (const [mark, times] of Object.entries(batch.marks).sort())
      process.stdout.write(`${mark}: ${times}\n`);
  }
  process.stdout.write(`${JSON.stringify(summarize(batch))}\n`);
  return batch.violations.length === 0 ? 0 : 1;
}

/** An option that would do nothing is a mistake of whoever wrote it. */
function checkTogether({ seeds, seed, schedule, sites, claimed, timeline, from, workers }: Options): void {
  const refuse = (what: string): never => {
    throw new Failure('input', { what, fix: 'npm run simulate -- --help' });
  };
  const alone = [seed, schedule, sites].filter((one) => one !== undefined).length;
  if (alone > 1 || (alone === 1 && seeds !== undefined))
    refuse('only one of --seeds, --seed, --schedule and --sites can be run');
  if (claimed && sites === undefined) refuse('--claimed goes with --sites only');
  if (timeline && alone === 0) refuse('--timeline goes with --seed, --schedule or --sites only');
  if (alone === 1 && (from !== undefined || workers !== undefined))
    refuse('--from and --workers go with --seeds only');
}

function inWords({ seed, promise, at, what }: Batch['violations'][number]): string {
  return `seed ${seed}: '${promise}' broken after ${at} s: ${what}`;
}

async function chosen(values: Options): Promise<Batch> {
  const alone = (scenario: Scenario) => runAlone(scenario, values.timeline);
  if (values.schedule !== undefined) return alone(readSchedule(values.schedule));
  if (values.seed !== undefined) return alone(draw(count('--seed', values.seed)));
  if (values.sites !== undefined) {
    const devices = count('--sites', values.sites);
    if (devices < 1 || devices > largestPlace)
      throw new Failure('input', { what: `--sites takes 1 to ${largestPlace}`, why: `it is ${devices}` });
    return alone(largeSite(devices, 1, values.claimed ? 'claimed' : 'stamped'));
  }
  const workers = values.workers === undefined ? availableParallelism() : count('--workers', values.workers);
  if (workers < 1) throw new Failure('input', { what: '--workers takes 1 or more', why: `it is ${workers}` });
  const seeds = values.seeds === undefined ? 10_000 : count('--seeds', values.seeds);
  const from = values.from === undefined ? 0 : count('--from', values.from);
  if (!Number.isSafeInteger(from + seeds))
    throw new Failure('input', { what: 'seeds end at 2^53', why: `--from ${from} and ${seeds} of them` });
  let [done, saidAt] = [0, performance.now()];
  const progress = (batch: Batch): void => {
    done += batch.seeds;
    for (const violation of batch.violations) process.stderr.write(`${inWords(violation)}\n`);
    if (performance.now() - saidAt < 30_000) return;
    saidAt = performance.now();
    process.stderr.write(`${done} of ${seeds} seeds\n`);
  };
  return joinBatches(await runPool(from, seeds, workers, progress));
}

/** One run; where it breaks a promise its timeline is printed without being asked for. */
function runAlone(scenario: Scenario, timeline: boolean): Batch {
  process.stdout.write(`seed ${scenario.seed}\n`);
  let result: Result;
  try {
    result = run(scenario, true);
  } catch (error) {
    process.stderr.write(`${renderError(error)}\n`);
    return unended(scenario.seed, error);
  }
  if (timeline || result.violations.length > 0) {
    process.stdout.write(`${result.world.timeline?.join('\n')}\n`);
  }
  return {
    seeds: 1,
    violations: result.violations.map((violation) => ({ ...violation, seed: scenario.seed })),
    founded: result.foundedAfter === undefined ? [] : [result.foundedAfter],
    decided: result.decidedAfter === undefined ? [] : [result.decidedAfter],
    marks: Object.fromEntries(result.world.marks),
  };
}

function readSchedule(file: string): Scenario {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Failure('io', { what: 'the schedule cannot be read', where: file, why: String(error) });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Failure('input', { what: 'the schedule is not JSON', where: file, why: String(error) });
  }
  const parsed = scheduleSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Failure(
    'input',
    parsed.error.issues.map(({ message, path }) => ({
      what: message,
      where: [file, ...wherein(path)].join(': '),
    })),
  );
}

/** Where in the file, as `schedule.3.device`; nothing where it is the whole of it. */
function wherein(path: readonly PropertyKey[]): readonly string[] {
  return path.length === 0 ? [] : [path.join('.')];
}

function count(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Failure('input', { what: `${option} takes a whole number`, why: `it is '${text}'` });
}
