// A volume of volumes: partitions, tables and raw regions at their places on a disk.
import { Failure } from '../../formats/errors.ts';
import type { Range, Volume } from './volume.ts';

/** A part of a disk. Without content the place is only kept free. */
export interface Piece {
  readonly name: string;
  /** Bytes. */
  readonly at: number;
  readonly size: number;
  readonly content?: Volume;
}

/** A partition of a table, of whatever kind, as a piece of its disk. */
export function partitionPiece(partition: {
  readonly name: string;
  readonly start: number;
  readonly size: number;
  readonly content?: Volume;
}): Piece {
  const { name, start, size, content } = partition;
  return { name: `partition ${name}`, at: start, size, ...(content === undefined ? {} : { content }) };
}

/** Puts pieces together. Refuses those that overlap, leave the volume, or are smaller than what is in them. */
export function compose(size: number, pieces: readonly Piece[]): Volume {
  const sorted = [...pieces].sort((a, b) => a.at - b.at);
  let before: Piece | undefined;
  for (const piece of sorted) {
    const { name, at, content } = piece;
    if (before !== undefined && at < before.at + before.size) {
      throw refusal(`${before.name} and ${name}`, `they overlap by ${before.at + before.size - at} bytes`);
    }
    if (at < 0 || at + piece.size > size)
      throw refusal(name, `it ends ${at + piece.size - size} bytes behind the disk`);
    if (content !== undefined && content.size > piece.size) {
      throw refusal(name, `what is in it is ${content.size - piece.size} bytes larger`);
    }
    before = piece;
  }
  return {
    size,
    mapped: joined(
      sorted.flatMap(({ at, content }) =>
        (content?.mapped ?? []).map(({ start, end }) => ({ start: at + start, end: at + end })),
      ),
    ),
    async write(output) {
      for (const { at, content } of sorted) {
        await content?.write({ write: (offset, bytes) => output.write(at + offset, bytes) });
      }
    },
  };
}

/** Ascending ranges, those that touch made one. */
function joined(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.end === range.start)
      merged[merged.length - 1] = { start: last.start, end: range.end };
    else merged.push(range);
  }
  return merged;
}

function refusal(what: string, why: string): Failure {
  return new Failure('input', { what: `${what} cannot be put on the disk`, why });
}
