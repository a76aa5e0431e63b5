// All bytes at once of a file: what is read and written may come in parts.
import { readSync, writeSync } from 'node:fs';

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

/**
 * Writes all of `bytes` to a file from `at` on, however many writes that takes: a medium that is nearly full may take a
 * part, without an error. Throws what writeSync throws.
 */
export function put(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}
