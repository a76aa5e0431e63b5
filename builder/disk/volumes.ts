// Small volumes, and volumes around others.
import { Failure } from '../../formats/errors.ts';
import type { Volume } from './volume.ts';

/** Bytes that are moved at a time. */
const batch = 4 * 1024 * 1024;

/** Bytes that are in memory. */
export function bytesVolume(bytes: Uint8Array): Volume {
  return {
    size: bytes.length,
    mapped: [{ start: 0, end: bytes.length }],
    write: async (output) => output.write(0, bytes),
  };
}

/** Zeros that are really written: what was on the medium before is gone. */
export function zeros(size: number): Volume {
  return {
    size,
    mapped: [{ start: 0, end: size }],
    async write(output) {
      const block = new Uint8Array(Math.min(size, batch));
      for (let at = 0; at < size; at += block.length) output.write(at, block.subarray(0, size - at));
    },
  };
}

/** A volume that tells of every piece that is written, and stops when it is told to. */
export function watched(volume: Volume, signal: AbortSignal, wrote: (bytes: number) => void): Volume {
  return {
    ...volume,
    write: (output) =>
      volume.write({
        write(at, bytes) {
          if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
          output.write(at, bytes);
          wrote(bytes.length);
        },
      }),
  };
}
