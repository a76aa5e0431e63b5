// Runs stages one after the other: takes what the store has, makes what it has not, and says which was which.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import type { Kept, OutputFolder } from './output.ts';
import { digestOfValue, ResultStore, resultKey } from './results.ts';
import { Settling } from './settling.ts';
import type { Stage, Workshop } from './stage.ts';

/** Something a stage works on: where it is, and the digest (or result key) that stands for its content. */
export interface Input {
  readonly path: string;
  readonly digest: string;
}

/** How a stage ended; `bytes` is the size of its result. */
export interface Finish {
  readonly cached: boolean;
  readonly milliseconds: number;
  readonly bytes: number | undefined;
}

/** What is told while stages run; one implementation a way of showing it. */
export interface Reporter {
  started(stage: string, summary: string): void;
  progress(stage: string, done: number, total: number): void;
  say(stage: string, line: string): void;
  finished(stage: string, how: Finish): void;
}

/** One stage as it was run, for manifests and `diff`. */
export interface StageRecord {
  readonly stage: string;
  readonly version: number;
  readonly key: string;
  readonly cached: boolean;
  /** Digest of each option, by name: options may hold secrets. */
  readonly options: Readonly<Record<string, string>>;
  readonly inputs: Readonly<Record<string, string>>;
}

export interface RunnerOptions {
  /** Folder of the result store. */
  readonly store: string;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** A clock in milliseconds, for the times that are told. */
  readonly now?: () => number;
}

/** Where a result is kept: the store, or the folder that a build's files leave by. */
interface Keeper {
  find(key: string): Promise<string | undefined>;
  keep(key: string, make: (folder: string, settling: Settling) => Promise<void>): Promise<Kept>;
}

export class Runner {
  /** In the order that stages were begun in; whole when none is running. */
  readonly records: StageRecord[] = [];
  readonly #settling = new Settling();
  #begun = 0;
  readonly #results: ResultStore;
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#results = new ResultStore(options.store);
  }

  /**
   * The result of a stage as an input for the next ones. Options are checked against the stage's schema first; a
   * mismatch is a bug of the caller. With `output`, the result is kept there instead of in the store.
   */
  async run<Options, Inputs extends Readonly<Record<string, string>>>(
    stage: Stage<Options, Inputs>,
    options: Options,
    inputs: { readonly [Name in keyof Inputs]: Input },
    output?: OutputFolder,
  ): Promise<Input> {
    const { reporter, signal } = this.#options;
    if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    const { name, version } = stage;
    const place = this.#begun++;
    const accepted = stage.schema.parse(options);
    const digests = mapInputs(inputs, (input) => input.digest);
    const key = resultKey({ stage: name, version, options: accepted, inputs: digests });
    const keeper: Keeper = output ?? this.#keeper(name);
    const now = this.#options.now ?? (() => performance.now());
    const began = now();
    reporter.started(name, stage.summary);
    let path = await keeper.find(key);
    const cached = path !== undefined;
    path ??= await this.#keep(keeper, key, async (folder, settling) => {
      const workshop: Workshop = {
        result: folder,
        progress: (done, total) => reporter.progress(name, done, total),
        say: (line) => reporter.say(name, line),
        settles: (work) => settling.add(work),
        signal,
      };
      await stage.run(
        accepted,
        mapInputs(inputs, (input) => input.path),
        workshop,
      );
      if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    });
    const bytes = await bytesBelow(path);
    reporter.finished(name, { cached, milliseconds: now() - began, bytes });
    // One that is left out shapes nothing, however it is left out.
    const shaped = Object.entries(accepted as object)
      .filter(([, value]) => value !== undefined)
      .map(([option, value]) => [option, digestOfValue(value)]);
    this.records[place] = {
      stage: name,
      version,
      key,
      cached,
      options: Object.fromEntries(shaped),
      inputs: digests,
    };
    return { path, digest: key };
  }

  /** Ends when the results of all stages that ran are whole. */
  settled(): Promise<void> {
    return this.#settling.end();
  }

  async #keep(keeper: Keeper, key: string, make: Parameters<Keeper['keep']>[1]): Promise<string> {
    const { folder, settled } = await keeper.keep(key, make);
    this.#settling.add(settled);
    return folder;
  }

  #keeper(stage: string): Keeper {
    return {
      find: (key) => this.#results.find(stage, key),
      keep: async (key, make) => ({
        folder: await this.#results.keep(stage, key, make),
        settled: Promise.resolve(),
      }),
    };
  }
}

/** The same names with something else behind each. */
function mapInputs<Inputs extends Readonly<Record<string, string>>>(
  inputs: { readonly [Name in keyof Inputs]: Input },
  change: (input: Input) => string,
): Inputs {
  const changed: Record<string, string> = {};
  for (const [name, input] of Object.entries<Input>(inputs)) changed[name] = change(input);
  return changed as Inputs; // every name of Inputs, each a string: what Inputs is
}

/** Bytes that the files directly in a folder occupy. */
async function bytesBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).blocks * 512;
  return bytes;
}
