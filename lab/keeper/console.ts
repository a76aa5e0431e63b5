// The console of a host: logged, waited on, written to, and shown to whoever attaches.
import { createWriteStream } from 'node:fs';
import type { Duplex } from 'node:stream';
import { Failure } from '../../formats/errors.ts';

/** Text kept for `waitFor`, in characters; the log file keeps all. */
const kept = 1024 * 1024;

export interface Console {
  /**
   * Waits until the console shows what matches, from behind the last match on, also if it was shown already.
   * A time-out or the end of the machine is an environment failure with the last lines in it.
   */
  waitFor(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray>;
  /** Types text; a line ends with \n. */
  send(text: string): void;
  /** Shows from now on what the machine writes, and types what comes, until the stream ends. */
  attach(stream: Duplex): void;
}

interface Waiter {
  look(): void;
  end(why: string): void;
}

/** A console whose owner feeds it what the host writes and says when the host went off. What it shows is appended to `log`. */
export interface ConsoleOfHost extends Console {
  readonly feed: (bytes: Buffer) => void;
  ended(why: string): void;
  close(): Promise<void>;
}

/** `type` takes what somebody types. */
export function newConsole(name: string, log: string, type: (bytes: Buffer | string) => void): ConsoleOfHost {
  const file = createWriteStream(log, { flags: 'a' });
  const attached = new Set<Duplex>();
  const waiters = new Set<Waiter>();
  let decoder = new TextDecoder();
  let text = '';

  return {
    feed(bytes) {
      file.write(bytes);
      for (const stream of attached) stream.write(bytes);
      text = (text + decoder.decode(bytes, { stream: true })).slice(-kept);
      for (const waiter of waiters) waiter.look();
    },
    waitFor: (pattern, timeoutMs) =>
      new Promise((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          waiters.delete(waiter);
        };
        const waiter: Waiter = {
          look() {
            const match = text.match(new RegExp(pattern, pattern.flags.replace('g', '')));
            if (match === null) return;
            text = text.slice((match.index ?? 0) + match[0].length);
            done();
            resolve(match);
          },
          end(why) {
            done();
            const last = text.trimEnd().split(/\r?\n/).slice(-15).join('\n  ');
            const what = `the console of ${name} never showed ${pattern}`;
            reject(
              new Failure('environment', { what, where: log, why: `${why}; its last lines:\n  ${last}` }),
            );
          },
        };
        const timer = setTimeout(() => waiter.end(`waited ${timeoutMs} ms`), timeoutMs);
        waiters.add(waiter);
        waiter.look();
      }),
    send: type,
    attach(stream) {
      attached.add(stream);
      stream.on('data', type);
      stream.on('error', () => stream.destroy());
      stream.on('close', () => attached.delete(stream));
    },
    ended(why) {
      decoder = new TextDecoder();
      for (const waiter of waiters) waiter.end(why);
    },
    async close() {
      for (const waiter of waiters) waiter.end('the machine was stopped');
      for (const stream of attached) stream.end();
      await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}
