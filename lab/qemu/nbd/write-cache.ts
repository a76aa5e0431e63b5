// A disk's volatile write cache: what was written but not flushed is only here, and a power cut decides what of it was
// already on the medium.
import type { Random } from '../../switch/random.ts';

/** What holds data for good. Offsets and lengths in bytes. */
export interface Medium {
  read(offset: number, length: number): Buffer;
  write(offset: number, bytes: Buffer): void;
  zero(offset: number, length: number): void;
}

/** The unit a medium writes whole or not at all, bytes. */
const sector = 512;

/** A real cache is small, and a disk writes out what does not fit: the oldest first. */
const capacity = { bytes: 64 * 1024 ** 2, writes: 4096 };

/** A write not yet on the medium. Without bytes it is one of zeros (write-zeroes, or trim: a trimmed range reads as zeros). */
interface Write {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Buffer | undefined;
}

/** What a power cut did to the writes that were not flushed. */
export interface Lost {
  readonly lost: number;
  readonly kept: number;
  /** A write of which only some sectors were kept. */
  readonly torn: number;
}

export interface WriteCache {
  read(offset: number, length: number): Buffer;
  /** `bytes` must not be changed afterwards; a length stands for that many zeros. `durable`: on the medium when this returns. */
  write(offset: number, bytes: Buffer | number, durable?: boolean): void;
  /** All that was written is on the medium when this returns. */
  flush(): void;
  /**
   * Power is gone. Each unflushed write survives with the chance `keep`, whatever was written before or after it, and
   * one of the survivors of several sectors is torn: a random part of its sectors is old.
   */
  cut(keep: number, random: Random): Lost;
}

export function openWriteCache(medium: Medium): WriteCache {
  let pending: Write[] = [];
  let held = 0;

  const settle = (write: Write): void => {
    if (write.bytes === undefined) medium.zero(write.offset, write.length);
    else medium.write(write.offset, write.bytes);
  };
  const evict = (): void => {
    while (held > capacity.bytes || pending.length > capacity.writes) {
      const oldest = pending.shift();
      if (oldest === undefined) return;
      held -= oldest.bytes?.length ?? 0;
      settle(oldest);
    }
  };

  return {
    read(offset, length) {
      const result = medium.read(offset, length);
      for (const write of pending) lay(write, result, offset);
      return result;
    },
    write(offset, bytes, durable = false) {
      const isZeros = typeof bytes === 'number';
      const write: Write = {
        offset,
        length: isZeros ? bytes : bytes.length,
        bytes: isZeros ? undefined : bytes,
      };
      // Kept in order also when durable: an older write of the same range must not come over it at a flush.
      if (durable) {
        settle(write);
        pending = pending.flatMap((older) => without(older, write));
        held = pending.reduce((sum, each) => sum + (each.bytes?.length ?? 0), 0);
        return;
      }
      pending.push(write);
      held += write.bytes?.length ?? 0;
      evict();
    },
    flush() {
      for (const write of pending) settle(write);
      pending = [];
      held = 0;
    },
    cut(keep, random) {
      const survivors = pending.filter(() => random() < keep);
      const lost = pending.length - survivors.length;
      pending = [];
      held = 0;
      const several = survivors.filter((write) => write.length > sector);
      const torn = several[Math.floor(random() * several.length)];
      for (const write of survivors) {
        if (write !== torn) settle(write);
        else for (const part of sectorsOf(write)) if (random() < 0.5) settle(part);
      }
      return { lost, kept: survivors.length, torn: torn === undefined ? 0 : 1 };
    },
  };
}

/** Lays a write over what was read at `offset`. */
function lay(write: Write, result: Buffer, offset: number): void {
  const from = Math.max(write.offset, offset);
  const to = Math.min(write.offset + write.length, offset + result.length);
  if (from >= to) return;
  if (write.bytes === undefined) result.fill(0, from - offset, to - offset);
  else write.bytes.copy(result, from - offset, from - write.offset, to - write.offset);
}

/** What is left of a write where a later one covers part of it. */
function without(older: Write, later: Write): readonly Write[] {
  const end = older.offset + older.length;
  const before = part(older, older.offset, Math.min(end, later.offset));
  const after = part(older, Math.max(older.offset, later.offset + later.length), end);
  return [before, after].flatMap((each) => each ?? []);
}

function part(write: Write, from: number, to: number): Write | undefined {
  if (from >= to) return undefined;
  const bytes = write.bytes?.subarray(from - write.offset, to - write.offset);
  return { offset: from, length: to - from, bytes };
}

/** A torn write of zeros may be as long as the disk: it is torn in a thousand pieces at most. */
function* sectorsOf(write: Write): Generator<Write> {
  const step = Math.max(sector, Math.ceil(write.length / 1000 / sector) * sector);
  for (let at = write.offset; at < write.offset + write.length; at += step) {
    const piece = part(write, at, Math.min(at + step, write.offset + write.length));
    if (piece !== undefined) yield piece;
  }
}
