// What a disk of the lab has for good: an image that is only read, and beside it a sparse file with what was changed.
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { Medium } from './write-cache.ts';

const block = 4096;

/** Where a block of the disk is now. */
const from = { image: 0, changes: 1, nowhere: 2 } as const;

/** Opens a disk of `size` bytes over `image` (zeros behind its end); `changes` is made anew. */
export function openMedium(
  image: string,
  changes: string,
  size: number,
): Medium & { forget(): void; close(): void } {
  const base = openSync(image, 'r');
  const delta = openSync(changes, 'w+');
  ftruncateSync(delta, size);
  const places = new Uint8Array(Math.ceil(size / block));

  const read = (offset: number, length: number): Buffer => {
    const result = Buffer.alloc(length);
    for (const [at, end, place] of runs(offset, length)) {
      if (place === from.nowhere) continue;
      readFully(place === from.image ? base : delta, result.subarray(at - offset, end - offset), at);
    }
    return result;
  };

  /** Ranges of blocks that are at the same place, cut to what is asked for. */
  function* runs(
    offset: number,
    length: number,
  ): Generator<readonly [at: number, end: number, place: number]> {
    const stop = offset + length;
    for (let at = offset; at < stop; ) {
      const place = places[Math.floor(at / block)] ?? from.nowhere;
      let end = (Math.floor(at / block) + 1) * block;
      while (end < stop && places[end / block] === place) end += block;
      yield [at, Math.min(end, stop), place];
      at = end;
    }
  }

  const write = (offset: number, bytes: Buffer): void => {
    // A block is either the image's or ours: one that is changed in part comes over as a whole.
    const first = Math.floor(offset / block) * block;
    const last = Math.min(Math.ceil((offset + bytes.length) / block) * block, size);
    const head = read(first, offset - first);
    const tail = read(offset + bytes.length, last - offset - bytes.length);
    writeFully(delta, Buffer.concat([head, bytes, tail]), first);
    places.fill(from.changes, first / block, Math.ceil(last / block));
  };

  return {
    read,
    write,
    zero(offset, length) {
      // Whole blocks are only marked: trimming a disk must not write it full.
      const first = Math.min(Math.ceil(offset / block) * block, offset + length);
      const last = Math.max(Math.floor((offset + length) / block) * block, first);
      if (first > offset) write(offset, Buffer.alloc(first - offset));
      if (offset + length > last) write(last, Buffer.alloc(offset + length - last));
      places.fill(from.nowhere, Math.ceil(first / block), Math.ceil(last / block));
    },
    /** Nothing was ever changed. */
    forget() {
      ftruncateSync(delta, 0);
      ftruncateSync(delta, size);
      places.fill(from.image);
    },
    close() {
      closeSync(base);
      closeSync(delta);
    },
  };
}

/** Fills `into` from the file; what lies behind its end stays as it is. */
function readFully(file: number, into: Buffer, at: number): void {
  for (let done = 0; done < into.length; ) {
    const count = readSync(file, into, done, into.length - done, at + done);
    if (count === 0) return;
    done += count;
  }
}

function writeFully(file: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(file, bytes, done, bytes.length - done, at + done);
  }
}
