// A machine's serial console: logged, waited on, written to, and shown to whoever attaches.
import { createWriteStream } from 'node:fs';
import net from 'node:net';
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

/** Listens at `path` for QEMU. What it says is appended to `log`. */
export async function openConsole(
  name: string,
  path: string,
  log: string,
): Promise<Console & { ended(why: string): void; close(): Promise<void> }> {
  const file = createWriteStream(log, { flags: 'a' });
  const attached = new Set<Duplex>();
  const waiters = new Set<Waiter>();
  let socket: net.Socket | undefined;
  let text = '';

  const server = net.createServer((next) => {
    socket = next;
    const decoder = new TextDecoder();
    next.on('data', (bytes: Buffer) => {
      file.write(bytes);
      for (const stream of attached) stream.write(bytes);
      text = (text + decoder.decode(bytes, { stream: true })).slice(-kept);
      for (const waiter of waiters) waiter.look();
    });
    next.on('error', () => next.destroy());
    next.on('close', () => {
      if (socket === next) socket = undefined;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });

  return {
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
    send: (line) => void socket?.write(line),
    attach(stream) {
      attached.add(stream);
      stream.on('data', (bytes: Buffer) => void socket?.write(bytes));
      stream.on('error', () => stream.destroy());
      stream.on('close', () => attached.delete(stream));
    },
    ended(why) {
      for (const waiter of waiters) waiter.end(why);
    },
    async close() {
      for (const waiter of waiters) waiter.end('the machine was stopped');
      for (const stream of attached) stream.end();
      socket?.destroy();
      await new Promise((resolve) => server.close(resolve));
      await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}
