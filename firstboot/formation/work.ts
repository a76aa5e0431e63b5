// The protocol's effects, done in their order: what comes after a persist waits until it is on disk.
import { inOneLine } from '../inoneline.ts';
import type { Effect } from '../protocol/events.ts';
import type { Record } from '../protocol/record.ts';
import type { RecordDisk } from './recorddisk.ts';

type Persist = Extract<Effect, { kind: 'persist' }>;

export class Work {
  readonly #disk: RecordDisk;
  readonly #carryOut: (effect: Exclude<Effect, Persist>) => void;
  readonly #done: (event: { kind: 'persisted'; record: Record } | { kind: 'diskFailed' }) => void;
  #effects: Effect[] = [];
  #syncing = false;
  #stopped = false;

  /** `done` is told what became of each persist, before what waited behind it is done. */
  constructor(
    disk: RecordDisk,
    carryOut: (effect: Exclude<Effect, Persist>) => void,
    done: (event: { kind: 'persisted'; record: Record } | { kind: 'diskFailed' }) => void,
  ) {
    this.#disk = disk;
    this.#carryOut = carryOut;
    this.#done = done;
  }

  take(effects: readonly Effect[]): void {
    this.#effects.push(...effects);
    this.#goOn();
  }

  stop(): void {
    this.#stopped = true;
  }

  #goOn(): void {
    while (!this.#syncing && !this.#stopped) {
      const effect = this.#effects.shift();
      if (effect === undefined) return;
      if (effect.kind === 'persist') void this.#persist(effect);
      else this.#carryOut(effect);
    }
  }

  async #persist({ record }: Persist): Promise<void> {
    this.#syncing = true;
    try {
      await this.#disk.write(record);
      this.#syncing = false;
      this.#done({ kind: 'persisted', record });
    } catch (error) {
      console.error(`formation: the record cannot be written: ${inOneLine(error)}`);
      this.#syncing = false;
      this.#effects = [];
      this.#done({ kind: 'diskFailed' });
    }
    this.#goOn();
  }
}
