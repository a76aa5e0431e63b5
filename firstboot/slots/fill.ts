// Filling one slot from the other: what carries data is copied, then read back and compared with a digest.
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Extent } from '../../formats/stamp.ts';
import { readInto, writeBytes } from './disk.ts';

/** Bytes at a time: small enough to give way to others soon. */
const chunkSize = 1024 * 1024;

export interface Filling {
  readonly from: Extent;
  readonly to: Extent;
  /** Ranges that carry data, relative to the slot: start and end (exclusive) in bytes. */
  readonly mapped: readonly (readonly [start: number, end: number])[];
  /** SHA-256 of those ranges, one after the other, in hexadecimal. */
  readonly digest: string;
}

/** How a filling does its work beside everything else. */
export interface Manner {
  readonly signal: AbortSignal;
  /** After each chunk the disk is left alone for so many times as long as it took. */
  readonly leisure: number;
  /** Bytes of both passes done so far, of how many. */
  progress(done: number, total: number): void;
  /** Makes the kernel forget what it holds of the disk, so that the second pass reads the medium. */
  forget(): Promise<void>;
  /** Waits; milliseconds. Tests do not. */
  rest?(milliseconds: number): Promise<void>;
}

/**
 * Makes slot `to` a verified copy of `from`. Chunks that are the same already are not written, so an interrupted
 * filling goes on where it was and a slot that was flashed twice is only read. Throws when the source is not what the
 * digest says, when the copy is not, or when the signal aborts.
 */
export async function fillSlot(disk: FileHandle, filling: Filling, manner: Manner): Promise<void> {
  const { from, to, mapped, digest } = filling;
  refuse(filling);
  const size = mapped.reduce((sum, [start, end]) => sum + end - start, 0);
  const [theirs, ours] = [Buffer.alloc(chunkSize), Buffer.alloc(chunkSize)];
  let done = 0;

  const source = createHash('sha256');
  await eachChunk(mapped, manner, async (start, length) => {
    const [read, held] = [theirs.subarray(0, length), ours.subarray(0, length)];
    await readInto(disk, from.start + start, read);
    source.update(read);
    await readInto(disk, to.start + start, held);
    if (!held.equals(read)) await writeBytes(disk, to.start + start, read);
    done += length;
    manner.progress(done, 2 * size);
  });
  if (source.digest('hex') !== digest) throw new Error('the slot to copy is not what was flashed');

  await manner.forget();
  const copy = createHash('sha256');
  await eachChunk(mapped, manner, async (start, length) => {
    const read = theirs.subarray(0, length);
    await readInto(disk, to.start + start, read);
    copy.update(read);
    done += length;
    manner.progress(done, 2 * size);
  });
  if (copy.digest('hex') !== digest) throw new Error('the copied slot does not read back as it was written');
}

/** Ranges must ascend and lie in both slots, and the slots must be apart: they come from a stamp, but a slot is at stake. */
function refuse({ from, to, mapped }: Filling): void {
  if (from.start < to.start + to.size && to.start < from.start + from.size) {
    throw new Error('the slots overlap');
  }
  if (mapped.length === 0) throw new Error('the stamp does not say what the slot holds');
  let before = 0;
  for (const [start, end] of mapped) {
    if (!(before <= start && start < end && end <= Math.min(from.size, to.size))) {
      throw new Error(`the range ${start} to ${end} is not one of the slot`);
    }
    before = end;
  }
}

async function eachChunk(
  mapped: Filling['mapped'],
  { signal, leisure, rest = sleep }: Manner,
  work: (start: number, length: number) => Promise<void>,
): Promise<void> {
  for (const [first, end] of mapped) {
    for (let start = first; start < end; start += chunkSize) {
      signal.throwIfAborted();
      const began = performance.now();
      await work(start, Math.min(chunkSize, end - start));
      await rest((performance.now() - began) * leisure);
    }
  }
}
