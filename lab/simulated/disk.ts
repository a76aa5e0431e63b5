// A board's record on disk: what was synced survives, what was being written may be there, not there, or torn.
import type { Record } from '../../firstboot/protocol/record.ts';
import type { Random } from './random.ts';

export class RecordDisk {
  /** What a start would read. */
  durable: Record | undefined;
  #writing: Record | undefined;
  /** Full, or read-only. */
  refuses = false;
  /** Milliseconds one sync takes. */
  sync = 4;

  write(record: Record): void {
    this.#writing = record;
  }

  /** The sync ended; false if the disk refused. */
  commit(): Record | undefined {
    const record = this.#writing;
    this.#writing = undefined;
    if (this.refuses || record === undefined) return undefined;
    this.durable = record;
    return record;
  }

  /** Power is cut. The file format keeps two copies, so a torn write leaves the one before (recordfile.test.ts). */
  cut(random: Random): void {
    if (this.#writing !== undefined && !this.refuses && random.chance(0.5)) this.durable = this.#writing;
    this.#writing = undefined;
  }

  wipe(): void {
    this.durable = undefined;
    this.#writing = undefined;
  }
}
