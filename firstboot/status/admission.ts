// Who may connect to the page: so many at once and so many a minute from one address. Pure but for its own memory.

/** Connections one address may hold open at once; a browser opens up to six. */
const openPerSource = 8;
/** Connections one address may open in a row, and how many a second it gets back. */
const burst = 30;
const perSecond = 3;
/** Addresses remembered; memory stays bounded whoever knocks. */
const sourcesKept = 256;

interface Source {
  open: number;
  tokens: number;
  /** Seconds, monotonic. */
  seen: number;
}

/** Counts connections by source. `now` is in seconds of any monotonic clock. */
export class Admission {
  readonly #sources = new Map<string, Source>();

  /** Lets a connection in and returns what to call when it is closed; false when it is one too many. */
  enter(address: string, now: number): (() => void) | false {
    const source = this.#sourceOf(address, now);
    if (source === undefined || source.open >= openPerSource || source.tokens < 1) return false;
    source.open += 1;
    source.tokens -= 1;
    return () => {
      source.open -= 1;
    };
  }

  #sourceOf(address: string, now: number): Source | undefined {
    const known = this.#sources.get(address);
    const tokens =
      known === undefined ? burst : Math.min(burst, known.tokens + (now - known.seen) * perSecond);
    const source = known ?? { open: 0, tokens, seen: now };
    source.tokens = tokens;
    source.seen = now;
    // Behind all others: the first of the map is the one not seen for longest.
    this.#sources.delete(address);
    if (this.#sources.size >= sourcesKept && !this.#forgetOne()) return undefined;
    this.#sources.set(address, source);
    return source;
  }

  #forgetOne(): boolean {
    for (const [address, { open }] of this.#sources) {
      if (open > 0) continue;
      return this.#sources.delete(address);
    }
    return false;
  }
}
