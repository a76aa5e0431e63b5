// Names of a directory, as it is planned and written.

/** Names that are fetched at once. */
export const AT_ONCE = 32_768;

/** One name in a directory, and what it leads to. */
export interface Name {
  readonly name: Uint8Array;
  readonly inode: number;
  /** File type code of ext4: 1 file, 2 directory, 3 char, 4 block, 5 fifo, 6 socket, 7 symbolic link. */
  readonly type: number;
}

/** The names of a directory, by position. */
export interface Names extends WritableNames {
  readonly count: number;
  hash(i: number, seed: readonly number[]): number;
}

/** What is written of names. */
export interface WritableNames {
  /** Bytes of a name. */
  length(i: number): number;
  /** Puts the bytes of a name into a block. */
  put(i: number, block: Buffer, at: number): void;
  inode(i: number): number;
  /** As in `Name`. */
  type(i: number): number;
}

/**
 * Names of a part of an order (at most `AT_ONCE`), copied in the order they are kept in: page after page, as many may
 * not be in memory. One object is filled again and again.
 */
export class Fetched implements WritableNames {
  count = 0;
  /** 0, 1, 2 and so on. */
  readonly positions = Uint32Array.from({ length: AT_ONCE }, (_, position) => position);
  readonly #keys = new Float64Array(AT_ONCE);
  readonly #inodes = new Uint32Array(AT_ONCE);
  readonly #types = new Uint8Array(AT_ONCE);
  /** Where each name begins in the bytes, and where the last one ends. */
  readonly #starts = new Uint32Array(AT_ONCE + 1);
  #bytes = Buffer.alloc(0);

  fetch(names: Names, order: Uint32Array): void {
    this.count = order.length;
    const keys = this.#keys.subarray(0, this.count);
    for (const [position, i] of order.entries()) keys[position] = i * AT_ONCE + position;
    keys.sort();
    const starts = this.#starts;
    for (const key of keys) starts[(key % AT_ONCE) + 1] = names.length(Math.floor(key / AT_ONCE));
    for (let at = 1; at <= this.count; at++) starts[at] = this.#start(at) + this.#start(at - 1);
    const total = this.#start(this.count);
    if (this.#bytes.length < total) this.#bytes = Buffer.allocUnsafeSlow(total);
    for (const key of keys) {
      const i = Math.floor(key / AT_ONCE);
      const position = key % AT_ONCE;
      names.put(i, this.#bytes, this.#start(position));
      this.#inodes[position] = names.inode(i);
      this.#types[position] = names.type(i);
    }
  }

  length(position: number): number {
    return this.#start(position + 1) - this.#start(position);
  }

  put(position: number, block: Buffer, at: number): void {
    this.#bytes.copy(block, at, this.#start(position), this.#start(position + 1));
  }

  inode(position: number): number {
    return this.#inodes[position] ?? 0;
  }

  type(position: number): number {
    return this.#types[position] ?? 0;
  }

  #start(position: number): number {
    return this.#starts[position] ?? 0;
  }
}
