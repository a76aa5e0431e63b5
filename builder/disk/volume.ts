// What every format writer gives: a plan that is already sized and accepted, and can be written anywhere.

/** Bytes `start` to `end` (exclusive). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Where a volume is written: a file at an offset, a hash, a test's buffer. */
export interface Output {
  /** Writes all of `bytes` at the byte offset `at` of the volume. Bytes may be reused by the caller afterwards. */
  write(at: number, bytes: Uint8Array): void;
}

/**
 * A filesystem, a partition table with what is in it, or a whole disk. Making one refuses what cannot be
 * written; writing one only writes. What `mapped` does not cover is never written and is not promised to be zero
 * on a used medium.
 */
export interface Volume {
  /** Bytes. */
  readonly size: number;
  /** Ranges that `write` writes, ascending, not touching. Known before writing; never found by looking for zeros. */
  readonly mapped: readonly Range[];
  /** Writes every mapped range once; gives way to other work (signals, progress) between batches. */
  write(output: Output): Promise<void>;
}
