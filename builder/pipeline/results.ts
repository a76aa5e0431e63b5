// The store of stage results: folders named by what they were made of. A result appears by a rename, whole or not at
// all; what an interrupted build left half-made is thrown away by the next one that makes the same thing.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '../artifacts/store.ts';
import { partialName, sweepPartials } from './partial.ts';
import { Settling } from './settling.ts';
import { areWhole, isFileStates, statesIn } from './whole.ts';

/** Names a stage's result: the SHA-256 (hex) of everything that shapes it. */
export function resultKey(identity: {
  readonly stage: string;
  readonly version: number;
  readonly options: unknown;
  /** Digest or result key of each input, by the name the stage gives it. */
  readonly inputs: Readonly<Record<string, string>>;
}): string {
  return createHash('sha256').update(canonicalJson(identity)).digest('hex');
}

/** The digest (hex) that stands for a value. */
export function digestOfValue(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** JSON with the keys of every object in ascending order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Where the results of stages are, beside the artifacts. */
export function resultsFolder({ root }: Store): string {
  return join(root, 'results');
}

/** Name of a result's folder in the store. */
export function resultFolder(stage: string, key: string): string {
  return `${stage}-${key.slice(0, 32)}`;
}

/** In every result: the states of its files, which arrive with it. */
const recordName = '.edgekiln-result.json';

export class ResultStore {
  readonly #folder: string;

  /** `folder` is made when it is first written to. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * The folder of a result, or undefined when there is none yet. One whose files are not as they were made is thrown
   * away. A result that is used is marked as used today.
   */
  async find(stage: string, key: string): Promise<string | undefined> {
    const folder = this.#path(stage, key);
    if (!existsSync(folder)) return undefined;
    if (!(await isWhole(folder))) {
      await rm(folder, { recursive: true, force: true });
      return undefined;
    }
    const now = new Date();
    await utimes(folder, now, now);
    return folder;
  }

  /** Lets `make` fill an empty folder and gives the result's final place. Whoever else made it meanwhile wins. */
  async keep(
    stage: string,
    key: string,
    make: (folder: string, settling: Settling) => Promise<void>,
  ): Promise<string> {
    const final = this.#path(stage, key);
    await sweepPartials(this.#folder);
    const partial = join(this.#folder, partialName());
    await mkdir(partial, { recursive: true });
    try {
      const settling = new Settling();
      await make(partial, settling).finally(() => settling.end());
      await writeFile(join(partial, recordName), JSON.stringify(await statesIn(partial)));
      await rename(partial, final).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    return final;
  }

  #path(stage: string, key: string): string {
    return join(this.#folder, resultFolder(stage, key));
  }
}

async function isWhole(folder: string): Promise<boolean> {
  const record = await readFile(join(folder, recordName), 'utf8').catch(() => '');
  try {
    const states: unknown = JSON.parse(record);
    return isFileStates(states) && (await areWhole(folder, states));
  } catch {
    return false;
  }
}
