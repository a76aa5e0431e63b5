// The time of verified peers, for a device whose clock is behind: what was switched off for weeks, and has no battery,
// would refuse the certificates of its cluster. Only servers of its own cluster are asked: they hold its CA anyway,
// whereas a stolen worker must not be able to push clocks into the future.
import type { Place } from '../../formats/roster.ts';
import { inOneLine } from '../inoneline.ts';
import type { Clock } from './clock.ts';

/** Less than so many seconds behind is left alone: NTP, where there is any, knows better. */
const tolerance = 30;
/** So many servers are asked after a start, and one of them again now and then: crystals drift. */
const enough = 3;
const askEvery = 6 * 3600_000;
/** One that did not answer is asked again after this, in milliseconds. */
const askAgain = 30_000;

/** Asks a place for its time, in milliseconds since 1970. Fails where the place does not answer for itself. */
export type AskTime = (of: Place) => Promise<number>;

export class PeerTime {
  readonly #clock: Pick<Clock, 'raise' | 'save'>;
  readonly #ask: AskTime;
  /** By place, when it may be asked again. Monotonic, in milliseconds. */
  readonly #next = new Map<Place, number>();
  #asking = false;

  constructor(clock: Pick<Clock, 'raise' | 'save'>, ask: AskTime) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Takes the time of the server that lets this device in. What goes wrong is said and hinders nothing. */
  async takeFrom(place: Place): Promise<boolean> {
    try {
      const seconds = (await this.#ask(place)) / 1000;
      const behind = seconds - Date.now() / 1000;
      if (behind > tolerance && (await this.#clock.raise(seconds))) {
        console.log(`clock: was ${Math.round(behind)} s behind place ${place}, and was raised`);
        await this.#clock.save();
      }
      return true;
    } catch (error) {
      console.error(`clock: place ${place}: ${inOneLine(error)}`);
      return false;
    }
  }

  /** `servers` are those of the device's own cluster that are heard now, without itself. */
  async look(servers: readonly Place[], now: number): Promise<void> {
    const place = servers.find((one) => (this.#next.get(one) ?? now) <= now);
    if (this.#asking || place === undefined) return;
    if (!this.#next.has(place) && this.#next.size >= enough) return;
    this.#asking = true;
    const answered = await this.takeFrom(place);
    this.#next.set(place, now + (answered ? askEvery : askAgain));
    this.#asking = false;
  }
}
