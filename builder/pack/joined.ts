// Files put together of pieces, side by side, and their digests in a file beside them.
import { join } from 'node:path';
import { onMedium } from '../pipeline/medium.ts';
import type { Workshop } from '../pipeline/stage.ts';
import { writeSums } from './sums.ts';
import type { JoinJob, Threads } from './threads.ts';

/** The packed files of one stage's result. */
export class JoinedFiles {
  readonly #threads: Threads;
  readonly #workshop: Workshop;
  readonly #made: Promise<readonly [name: string, sha256: string]>[] = [];

  constructor(threads: Threads, workshop: Workshop) {
    this.#threads = threads;
    this.#workshop = workshop;
  }

  /** Begins a file. */
  add(name: string, parts: JoinJob['parts']): void {
    const made = this.#join(name, parts);
    made.catch(() => {}); // `end` tells it
    this.#made.push(made);
  }

  /** Ends when all files are whole and their digests written; they may still be on their way to the medium. */
  async end(part: string): Promise<void> {
    await writeSums(this.#workshop.result, part, Object.fromEntries(await Promise.all(this.#made)));
  }

  async #join(name: string, parts: JoinJob['parts']): Promise<readonly [name: string, sha256: string]> {
    const to = join(this.#workshop.result, name);
    const { sha256 } = await this.#threads.join({ to, parts });
    this.#workshop.settles(onMedium(to));
    return [name, sha256];
  }
}
