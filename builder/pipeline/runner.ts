// Runs stages one after the other: takes what the store has, makes what it has not, and says which was which.
import { Failure } from '../../formats/errors.ts';
import { ResultStore, resultKey } from './results.ts';
import type { Stage, Workshop } from './stage.ts';

/** Something a stage works on: where it is, and the digest (or result key) that stands for its content. */
export interface Input {
  readonly path: string;
  readonly digest: string;
}

/** What is told while stages run; one implementation a way of showing it. */
export interface Reporter {
  started(stage: string, summary: string): void;
  progress(stage: string, done: number, total: number): void;
  say(stage: string, line: string): void;
  finished(stage: string, how: { readonly cached: boolean; readonly milliseconds: number }): void;
}

/** One stage as it was run, for manifests and `diff`. */
export interface StageRecord {
  readonly stage: string;
  readonly version: number;
  readonly key: string;
  readonly cached: boolean;
  readonly inputs: Readonly<Record<string, string>>;
}

export interface RunnerOptions {
  readonly store: string;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  readonly now?: () => number;
}

export class Runner {
  readonly records: StageRecord[] = [];
  readonly #results: ResultStore;
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#results = new ResultStore(options.store);
  }

  /**
   * The result of a stage as an input for the next ones. Options are checked against the stage's schema first; a
   * mismatch is a bug of the caller.
   */
  async run<Options, Names extends string>(
    stage: Stage<Options, Readonly<Record<Names, string>>>,
    options: Options,
    inputs: Readonly<Record<Names, Input>>,
  ): Promise<Input> {
    const { reporter, signal } = this.#options;
    if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    const accepted = stage.schema.parse(options);
    const named = Object.entries<Input>(inputs);
    const digests = Object.fromEntries(named.map(([name, input]) => [name, input.digest]));
    const key = resultKey({ stage: stage.name, version: stage.version, options: accepted, inputs: digests });
    const now = this.#options.now ?? (() => performance.now());
    const began = now();
    reporter.started(stage.name, stage.summary);
    let path = await this.#results.find(stage.name, key);
    const cached = path !== undefined;
    path ??= await this.#results.keep(stage.name, key, async (folder) => {
      const workshop: Workshop = {
        result: folder,
        progress: (done, total) => reporter.progress(stage.name, done, total),
        say: (line) => reporter.say(stage.name, line),
        signal,
      };
      const paths = mapValues(inputs, (input) => input.path);
      await stage.run(accepted, paths, workshop);
    });
    reporter.finished(stage.name, { cached, milliseconds: now() - began });
    this.records.push({ stage: stage.name, version: stage.version, key, cached, inputs: digests });
    return { path, digest: key };
  }
}

function mapValues<Names extends string, From, To>(
  record: Readonly<Record<Names, From>>,
  change: (value: From) => To,
): Record<Names, To> {
  const changed: Partial<Record<Names, To>> = {};
  for (const name in record) changed[name] = change(record[name]);
  return changed as Record<Names, To>;
}
