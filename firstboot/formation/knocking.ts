// When a device that is in no cluster yet goes to all doors: the addresses that places have by the roster.

/** Milliseconds between two rounds, in the first two minutes and later: each costs the LAN a question a door. */
const every = 3000;
const slowly = 30_000;
const eagerFor = 120_000;
/**
 * Doors a round. All at once was the end of a site of 64 that was switched on together: 4,000 questions for an address
 * a second, said to everybody, and while these lasted nobody heard anybody. 253 places are through in 33 s: before one
 * that is alone founds.
 */
const atOnce = 24;

export class Knocking {
  #first: number | undefined;
  #next = 0;
  #from = 0;

  /**
   * The doors of this round, none where none is due; it counts as made. The first is due a moment after the first call:
   * by then those that can be heard are heard. `now` is monotonic, in milliseconds.
   */
  round<Door>(doors: readonly Door[], now: number): readonly Door[] {
    if (this.#first === undefined) {
      this.#first = now;
      this.#next = now + every;
    }
    if (now < this.#next) return [];
    this.#next = now + (now - this.#first < eagerFor ? every : slowly);
    const from = this.#from < doors.length ? this.#from : 0;
    this.#from = from + atOnce;
    return doors.slice(from, this.#from);
  }
}
