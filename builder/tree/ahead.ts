// Reads a file window after window. Once it has gone straight on for a while, a thread of its own reads the next windows
// while the last one is looked at.
import { fill } from './fill.ts';
import { borrowThread, memory, type Thread, WINDOW } from './thread.ts';

/** So many windows in a row before a thread is worth it. */
const STRAIGHT = 16;

/** The window of a file that was looked at last. */
export class Windows {
  /** Bytes `start` to `end` of the file are at the front of these; valid until the next call. */
  bytes: Buffer;
  words: Uint32Array;
  start = 0;
  end = 0;
  readonly #own = memory(new ArrayBuffer(WINDOW));
  #fd = -1;
  #straight = 0;
  /** While it reads for this file; and which of its memories comes next. */
  #thread: Thread | undefined;
  #next = 0;
  /** The places that its memories were asked for. */
  readonly #places: number[] = [];

  constructor() {
    this.bytes = this.#own.bytes;
    this.words = this.#own.words;
  }

  /** Whether a byte of a file is in the window. */
  has(fd: number, at: number): boolean {
    return fd === this.#fd && at >= this.start && at < this.end;
  }

  /**
   * Has a byte of a file in the window, with what follows it; false where the file ends before it. `straight` says that
   * it comes shortly after the window, as does the next. Throws what readSync throws.
   */
  turn(fd: number, at: number, straight: boolean): boolean {
    if (!straight || fd !== this.#fd) {
      this.drop();
      this.start = at;
      this.#fd = fd;
    } else {
      this.#straight++;
      this.start = this.end;
    }
    try {
      for (;;) {
        this.#fill();
        if (at < this.end || this.end === this.start) return at < this.end;
        this.start = this.end;
      }
    } catch (error) {
      this.drop();
      throw error;
    }
  }

  /** Forgets the window; a file may be closed only after this. */
  drop(): void {
    this.#giveBack();
    this.#straight = 0;
    this.#fd = -1;
    this.end = this.start;
  }

  #fill(): void {
    if (!this.#fillAhead()) {
      this.bytes = this.#own.bytes;
      this.words = this.#own.words;
      this.end = this.start + fill(this.#fd, this.bytes, this.start);
    }
    if (this.#thread !== undefined || this.#straight < STRAIGHT || this.end - this.start < WINDOW) return;
    this.#thread = borrowThread(this);
    this.#next = 0;
    const count = this.#thread?.memories.length ?? 0;
    for (let index = 0; index < count; index++) this.#ask(index, this.end + index * WINDOW);
  }

  /** Takes the window that was asked for, and asks for a further one in the memory that was looked at until now. */
  #fillAhead(): boolean {
    const thread = this.#thread;
    const next = thread?.memories[this.#next];
    if (thread === undefined || next === undefined) return false;
    const count = thread.memories.length;
    const before = (this.#next + count - 1) % count;
    if (this.bytes === thread.memories[before]?.bytes)
      this.#ask(before, (this.#places[before] ?? 0) + count * WINDOW);
    const read = thread.takeBack(this.#next)
      ? fill(this.#fd, next.bytes, this.start)
      : thread.answer(this.#next);
    if (read < 0 || this.#places[this.#next] !== this.start) {
      this.#giveBack();
      return false;
    }
    this.#next = (this.#next + 1) % count;
    this.bytes = next.bytes;
    this.words = next.words;
    this.end = this.start + read;
    return true;
  }

  #ask(index: number, at: number): void {
    this.#places[index] = at;
    this.#thread?.ask(index, this.#fd, at);
  }

  #giveBack(): void {
    const thread = this.#thread;
    if (thread === undefined) return;
    for (const index of thread.memories.keys()) if (!thread.takeBack(index)) thread.answer(index);
    thread.owner = undefined;
    this.#thread = undefined;
  }
}
