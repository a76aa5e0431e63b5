// A file's content, holes as zeros: for formats that know no holes.
import { type Entry, lengthOf } from '../tree/entry.ts';
import type { Batch } from './batch.ts';

/** Appends all `size` bytes of a file. */
export async function appendContent(batch: Batch, file: Entry & { kind: 'file' }): Promise<void> {
  const start = batch.at;
  for (const { offset, bytes } of file.segments) {
    batch.zeros(start + offset);
    const length = lengthOf(bytes);
    for (let done = 0; done < length; ) {
      const part = Math.min(piece, length - done);
      batch.append(bytes, done, part);
      done += part;
      if (batch.tired) await batch.rest();
    }
  }
  batch.zeros(start + file.size);
}

/** Bytes between two looks at whether others wait. */
const piece = 8 * 1024 * 1024;
