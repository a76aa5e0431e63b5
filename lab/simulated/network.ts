// The LAN: who hears whom, what is lost, late, doubled or out of order.
import type { Random } from './random.ts';

/** Milliseconds that a port stays silent after carrier under spanning tree: 2 × 15 s. */
const silence = 30_000;

export class Network {
  loss = 0;
  /** Milliseconds one way, at least; up to as much again at random. */
  delay = 1;
  duplicates = 0;
  /** Share of datagrams that come up to five seconds late. */
  late = 0;
  spanningTree = false;
  readonly #random: Random;
  readonly #carrier: boolean[] = [];
  readonly #forwardsAt: number[] = [];
  readonly #side: number[] = [];
  readonly #deaf = new Set<number>();

  constructor(random: Random) {
    this.#random = random;
  }

  plug(board: number, now: number): void {
    this.#carrier[board] = true;
    this.#forwardsAt[board] = this.spanningTree ? now + silence : now;
  }

  unplug(board: number): void {
    this.#carrier[board] = false;
  }

  split(sides: readonly (readonly number[])[]): void {
    this.#side.length = 0;
    sides.forEach((boards, side) => {
      for (const board of boards) this.#side[board] = side;
    });
  }

  deafen(from: number, to: number): void {
    this.#deaf.add(from * 1024 + to);
  }

  heal(now: number): void {
    this.loss = 0;
    this.late = 0;
    this.duplicates = 0;
    this.delay = 1;
    this.#side.length = 0;
    this.#deaf.clear();
    this.spanningTree = false;
    this.#forwardsAt.fill(now);
  }

  carries(from: number, to: number, now: number): boolean {
    return (
      this.#carrier[from] === true &&
      this.#carrier[to] === true &&
      now >= (this.#forwardsAt[from] ?? 0) &&
      now >= (this.#forwardsAt[to] ?? 0) &&
      (this.#side[from] ?? 0) === (this.#side[to] ?? 0) &&
      (this.#deaf.size === 0 || !this.#deaf.has(from * 1024 + to))
    );
  }

  /** TLS needs both ways. */
  connects(a: number, b: number, now: number): boolean {
    return this.carries(a, b, now) && this.carries(b, a, now);
  }

  /** Delays of the copies that arrive: none, one, or two. */
  deliver(arrive: (delay: number) => void): void {
    const random = this.#random;
    if (this.loss > 0 && random.chance(this.loss)) return;
    arrive(this.#delayOfOne());
    if (this.duplicates > 0 && random.chance(this.duplicates)) arrive(this.#delayOfOne());
  }

  #delayOfOne(): number {
    const random = this.#random;
    if (this.late > 0 && random.chance(this.late)) return random.between(this.delay, 5_000);
    return this.delay * (1 + random.unit());
  }
}
