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
 * not be in memory.
 */
export class Fetched implements WritableNames {
  /** 0, 1, 2 and so on. */
  readonly positions: Uint32Array;
  readonly #inodes: Uint32Array;
  readonly #types: Uint8Array;
  /** Where each name begins in the bytes, and where the last one ends. */
  readonly #starts: Uint32Array;
  readonly #bytes: Buffer;

  constructor(names: Names, order: Uint32Array) {
    const count = order.length;
    const keys = Float64Array.from(order, (i, position) => i * AT_ONCE + position).sort();
    this.positions = Uint32Array.from(order, (_, position) => position);
    this.#inodes = new Uint32Array(count);
    this.#types = new Uint8Array(count);
    this.#starts = new Uint32Array(count + 1);
    for (const key of keys) this.#starts[(key % AT_ONCE) + 1] = names.length(Math.floor(key / AT_ONCE));
    for (let at = 1; at <= count; at++) this.#starts[at] = this.#start(at) + this.#start(at - 1);
    this.#bytes = Buffer.allocUnsafe(this.#start(count));
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
