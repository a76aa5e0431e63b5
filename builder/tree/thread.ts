// A thread that reads files while others think. Who asks never depends on it: what it has not begun is taken back and
// read by the one who waits, so that a busy machine does not pay for a thread that gets no turn.
import { Worker } from 'node:worker_threads';

/** A thread that does not answer for so many milliseconds is not asked again. */
const PATIENCE = 30_000;
/** Waking it costs as much as reading one memory: it is woken for so many at once, while the others are looked at. */
const WORTH_WAKING = 12;
/** Memories that it reads into, and their bytes: a multiple of a tar's blocks; one stays in the processor's cache. */
export const MEMORIES = 16;
export const WINDOW = 256 * 1024;

/** Words that both threads see; the first 8 are ASLEEP and nothing, then 8 for each memory. */
const WORDS = 8;
const ASLEEP = 0;
/** A place in the file is HIGH times 2^32 and LOW. READ: bytes read, or -1. */
const word = { state: 0, fd: 1, high: 2, low: 3, read: 4 } as const;
/** States: nothing to do, asked for something, at it, done. */
const [FREE, ASKED, TAKEN, DONE] = [0, 1, 2, 3] as const;

/** Plain JavaScript for CommonJS: it starts from the sources and from the one-file bundle alike. */
const program = `'use strict';
const { readSync } = require('node:fs');
const { words, buffers } = require('node:worker_threads').workerData;
for (let memory = 0, looked = 0; ; memory = (memory + 1) % buffers.length) {
  const first = (memory + 1) * ${WORDS};
  if (Atomics.compareExchange(words, first, ${ASKED}, ${TAKEN}) !== ${ASKED}) {
    if (++looked < buffers.length) continue;
    looked = 0;
    Atomics.store(words, ${ASLEEP}, 1);
    Atomics.wait(words, ${ASLEEP}, 1);
    continue;
  }
  looked = 0;
  const bytes = buffers[memory];
  const at = words[first + ${word.high}] * 0x100000000 + (words[first + ${word.low}] >>> 0);
  let done = 0;
  try {
    for (let read = -1; read !== 0 && done < bytes.length; done += read) {
      read = readSync(words[first + ${word.fd}], bytes, done, bytes.length - done, at + done);
    }
  } catch {
    done = -1;
  }
  words[first + ${word.read}] = done;
  Atomics.store(words, first, ${DONE});
  Atomics.notify(words, first);
}
`;

/** Memory that the thread sees, too. */
export interface Memory {
  readonly bytes: Buffer<ArrayBufferLike>;
  /** The same, in the order of the processor. */
  readonly words: Uint32Array;
}

export function memory(buffer: ArrayBuffer | SharedArrayBuffer): Memory {
  return { bytes: Buffer.from(buffer), words: new Uint32Array(buffer) };
}

/** One for the process, kept, as starting one costs as much as reading a hundred megabytes. */
class Thread {
  /** Whom its memories are lent to. */
  owner: object | undefined;
  readonly memories: readonly Memory[];
  readonly #words = new Int32Array(new SharedArrayBuffer(4 * WORDS * (1 + MEMORIES)));
  #unheard = 0;

  constructor() {
    const buffers = Array.from({ length: MEMORIES }, () => new SharedArrayBuffer(WINDOW));
    this.memories = buffers.map(memory);
    const workerData = { words: this.#words, buffers: buffers.map((buffer) => new Uint8Array(buffer)) };
    const worker = new Worker(program, { eval: true, execArgv: [], workerData });
    worker.on('error', () => {
      thread = 'lost';
    });
    worker.unref();
  }

  /** Has a memory filled with the bytes of a file from `at` on. */
  ask(index: number, fd: number, at: number): void {
    const words = this.#words;
    const first = (index + 1) * WORDS;
    words[first + word.fd] = fd;
    words[first + word.high] = Math.floor(at / 0x1_0000_0000);
    words[first + word.low] = at | 0;
    Atomics.store(words, first, ASKED);
    if (++this.#unheard < WORTH_WAKING || Atomics.load(words, ASLEEP) === 0) return;
    this.#unheard = 0;
    Atomics.store(words, ASLEEP, 0);
    Atomics.notify(words, ASLEEP);
  }

  /** Takes back what was asked for a memory, if it has not begun. */
  takeBack(index: number): boolean {
    return Atomics.compareExchange(this.#words, (index + 1) * WORDS, ASKED, FREE) === ASKED;
  }

  /** Waits for what has begun and gives how many bytes were read; -1 if they could not be. */
  answer(index: number): number {
    const words = this.#words;
    const first = (index + 1) * WORDS;
    while (Atomics.load(words, first) === TAKEN) {
      if (Atomics.wait(words, first, TAKEN, PATIENCE) !== 'timed-out') continue;
      thread = 'lost';
      return -1;
    }
    return words[first + word.read] ?? -1;
  }
}

export type { Thread };

let thread: Thread | 'lost' | undefined;

/** The thread, unless another has it. To be given back by setting `owner` to undefined. */
export function borrowThread(owner: object): Thread | undefined {
  thread ??= new Thread();
  if (thread === 'lost' || thread.owner !== undefined) return undefined;
  thread.owner = owner;
  return thread;
}
