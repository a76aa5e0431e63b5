// Work that nobody waits for yet.

export class Settling {
  readonly #works: Promise<void>[] = [];

  add(work: Promise<void>): void {
    work.catch(() => {}); // it is awaited in `end`
    this.#works.push(work);
  }

  /** Ends when all of it has, also what was added meanwhile; then throws what failed first. */
  async end(): Promise<void> {
    for (let done = 0; done < this.#works.length; done = this.#works.length)
      await Promise.allSettled(this.#works);
    await Promise.all(this.#works);
  }
}
