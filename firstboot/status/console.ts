// Saying the status on the consoles, where somebody with a screen or a serial cable may look.
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Seconds between two lines: an interface that flaps must not drown a console. */
const atMostEvery = 5;

/** Says a line when it differs from the last one, at most every few seconds, on all consoles of the kernel. */
export class ConsoleSpeaker {
  readonly #activeList: string;
  readonly #devices: string;
  #last = '';
  #at = Number.NEGATIVE_INFINITY;

  /** `activeList` is /sys/class/tty/console/active, `devices` is /dev. */
  constructor(activeList: string, devices: string) {
    this.#activeList = activeList;
    this.#devices = devices;
  }

  /** `now` is in monotonic seconds. A console that cannot be written to is left out. */
  async say(line: string, now: number): Promise<void> {
    if (line === this.#last || now - this.#at < atMostEvery) return;
    this.#last = line;
    this.#at = now;
    const active = await readFile(this.#activeList, 'latin1').catch(() => '');
    for (const console of active.trim().split(/\s+/).filter(Boolean)) {
      await this.#write(join(this.#devices, console), `${line}\r\n`);
    }
  }

  /** A serial port that nobody reads must not hold the agent: never waits for it, nor becomes its terminal. */
  async #write(device: string, text: string): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    try {
      const file = await open(device, flags);
      try {
        await file.write(text);
      } finally {
        await file.close();
      }
    } catch {
      // Not there, or its buffer is full; the page and the journal have the same words.
    }
  }
}
