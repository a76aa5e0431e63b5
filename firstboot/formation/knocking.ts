// When a device that is in no cluster yet goes to all doors: the addresses that places have by the roster.

/** Milliseconds between two rounds, in the first two minutes and later: each costs the LAN a question a door. */
const every = 3000;
const slowly = 30_000;
const eagerFor = 120_000;

export class Knocking {
  #first: number | undefined;
  #next = Number.NEGATIVE_INFINITY;

  /** True when a round is due; it counts as made. `now` is monotonic, in milliseconds. */
  due(now: number): boolean {
    if (now < this.#next) return false;
    this.#first ??= now;
    this.#next = now + (now - this.#first < eagerFor ? every : slowly);
    return true;
  }
}
