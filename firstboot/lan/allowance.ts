// How many signatures are checked a second: of one source, and of all. Pure but for its own memory.

interface Bucket {
  tokens: number;
  /** Milliseconds, monotonic. */
  at: number;
}

interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** A device at its liveliest says a few things a second; each may arrive by IPv4 and IPv6. */
const ofSource: Rate = { perSecond: 20, burst: 60 };
/** A whole site of 253 that is switched on at once; about a tenth of a slow core. */
const ofAll: Rate = { perSecond: 500, burst: 1000 };
/** Sources remembered; memory stays bounded whoever speaks. */
const sourcesKept = 1024;

/** Gives leave to check a signature. `now` is in milliseconds of any monotonic clock. */
export class Allowance {
  readonly #all: Bucket = { tokens: ofAll.burst, at: 0 };
  readonly #sources = new Map<string, Bucket>();

  /** False when the source, or all together, have had their share. */
  take(source: string, now: number): boolean {
    const bucket = this.#sources.get(source) ?? { tokens: ofSource.burst, at: now };
    // Behind all others: the first of the map is the one that was silent for longest.
    this.#sources.delete(source);
    this.#sources.set(source, bucket);
    if (this.#sources.size > sourcesKept) this.#sources.delete(this.#sources.keys().next().value ?? '');
    fill(bucket, ofSource, now);
    fill(this.#all, ofAll, now);
    if (bucket.tokens < 1 || this.#all.tokens < 1) return false;
    bucket.tokens -= 1;
    this.#all.tokens -= 1;
    return true;
  }
}

function fill(bucket: Bucket, { perSecond, burst }: Rate, now: number): void {
  bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
  bucket.at = now;
}
