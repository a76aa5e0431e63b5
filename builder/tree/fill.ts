import { readSync } from 'node:fs';

/**
 * Fills `into` with the bytes of a file from `at` on, however many reads that takes, and says how many there were: fewer
 * only where the file ends. Throws what readSync throws.
 */
export function fill(fd: number, into: Uint8Array, at: number): number {
  let done = 0;
  for (let read = -1; read !== 0 && done < into.length; done += read) {
    read = readSync(fd, into, done, into.length - done, at + done);
  }
  return done;
}
