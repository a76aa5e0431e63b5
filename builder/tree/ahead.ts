// Reads a file window after window. Once it has gone straight on for a while, a thread of its own reads the next window
// while the last one is looked at.
import { Worker } from 'node:worker_threads';
import { fill } from './fill.ts';

/** Bytes of a window, a multiple of a tar's blocks; it stays in the processor's cache. */
export const WINDOW = 256 * 1024;
/** So many windows in a row before a thread is worth it. */
const STRAIGHT = 16;
/** A thread that does not answer for so many milliseconds is not asked again. */
const PATIENCE = 30_000;

/** Words that both threads see. A place in the file is HIGH times 2^32 and LOW. READ: bytes read, or -1. */
const word = { state: 0, fd: 1, buffer: 2, high: 3, low: 4, read: 5 } as const;
/** States: nothing to do, asked for something, at it. */
const READY = 0;
const ASKED = 1;
const TAKEN = 2;

/** Plain JavaScript for CommonJS: it starts from the sources and from the one-file bundle alike. */
const program = `'use strict';
const { readSync } = require('node:fs');
const { words, buffers } = require('node:worker_threads').workerData;
for (;;) {
  Atomics.wait(words, ${word.state}, ${READY});
  if (Atomics.compareExchange(words, ${word.state}, ${ASKED}, ${TAKEN}) !== ${ASKED}) continue;
  const bytes = buffers[words[${word.buffer}]];
  const at = words[${word.high}] * 0x100000000 + (words[${word.low}] >>> 0);
  let done = 0;
  try {
    for (let read = -1; read !== 0 && done < bytes.length; done += read) {
      read = readSync(words[${word.fd}], bytes, done, bytes.length - done, at + done);
    }
  } catch {
    done = -1;
  }
  words[${word.read}] = done;
  Atomics.store(words, ${word.state}, ${READY});
  Atomics.notify(words, ${word.state});
}
`;

interface Memory {
  readonly bytes: Buffer<ArrayBufferLike>;
  /** The same, in the order of the processor. */
  readonly words: Uint32Array;
}

function memory(buffer: ArrayBuffer | SharedArrayBuffer): Memory {
  return { bytes: Buffer.from(buffer), words: new Uint32Array(buffer) };
}

/** The thread: one for the process, kept, as starting one costs as much as reading a hundred megabytes. */
class Thread {
  /** Who has asked it last. */
  owner: Windows | undefined;
  readonly memories: readonly [Memory, Memory];
  readonly #words = new Int32Array(new SharedArrayBuffer(32));

  constructor() {
    const buffers = [new SharedArrayBuffer(WINDOW), new SharedArrayBuffer(WINDOW)] as const;
    this.memories = [memory(buffers[0]), memory(buffers[1])];
    const workerData = { words: this.#words, buffers: buffers.map((buffer) => new Uint8Array(buffer)) };
    const worker = new Worker(program, { eval: true, execArgv: [], workerData });
    worker.on('error', () => {
      thread = 'lost';
    });
    worker.unref();
  }

  ask(fd: number, at: number, buffer: number): void {
    const words = this.#words;
    words[word.fd] = fd;
    words[word.buffer] = buffer;
    words[word.high] = Math.floor(at / 0x1_0000_0000);
    words[word.low] = at | 0;
    Atomics.store(words, word.state, ASKED);
    Atomics.notify(words, word.state);
  }

  /** Bytes read; undefined if they could not be, or if the thread has not begun: then it will not. */
  answer(): number | undefined {
    const words = this.#words;
    if (Atomics.compareExchange(words, word.state, ASKED, READY) === ASKED) return undefined;
    if (Atomics.wait(words, word.state, TAKEN, PATIENCE) === 'timed-out') {
      thread = 'lost';
      return undefined;
    }
    const read = words[word.read] ?? -1;
    return read < 0 ? undefined : read;
  }
}

let thread: Thread | 'lost' | undefined;

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
  /** What the thread was asked for, and into which of its memories. */
  #asked: { readonly thread: Thread; readonly at: number } | undefined;
  #turn = 0;

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
    for (;;) {
      this.#fill();
      if (at < this.end || this.end === this.start) return at < this.end;
      this.start = this.end;
    }
  }

  /** Forgets the window; a file may be closed only after this. */
  drop(): void {
    this.#answer();
    this.#straight = 0;
    this.#fd = -1;
    this.end = this.start;
  }

  #fill(): void {
    const asked = this.#asked;
    const read = this.#answer();
    if (asked !== undefined && read !== undefined && asked.at === this.start) {
      const { bytes, words } = asked.thread.memories[this.#turn === 0 ? 0 : 1];
      this.bytes = bytes;
      this.words = words;
      this.#turn = 1 - this.#turn;
      this.end = this.start + read;
    } else {
      this.bytes = this.#own.bytes;
      this.words = this.#own.words;
      this.end = this.start + fill(this.#fd, this.bytes, this.start);
    }
    if (this.#straight >= STRAIGHT && this.end - this.start === WINDOW) this.#ask();
  }

  #ask(): void {
    thread ??= new Thread();
    if (thread === 'lost' || (thread.owner !== undefined && thread.owner !== this)) return;
    thread.owner = this;
    this.#asked = { thread, at: this.end };
    thread.ask(this.#fd, this.end, this.#turn);
  }

  /** What the thread read, if it was asked. */
  #answer(): number | undefined {
    if (this.#asked === undefined) return undefined;
    const read = this.#asked.thread.answer();
    this.#asked.thread.owner = undefined;
    this.#asked = undefined;
    return read;
  }
}
