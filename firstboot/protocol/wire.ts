// Bytes in and out, big-endian. A reader that runs out says so by `undefined`, never by throwing.

export class Writer {
  readonly #bytes: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
  }

  /** An unsigned integer of 1 to 6 bytes. */
  uint(value: number, bytes: number): this {
    this.#bytes.writeUIntBE(value, this.#length, bytes);
    this.#length += bytes;
    return this;
  }

  /** Hexadecimal digits as bytes. */
  hex(digits: string): this {
    this.#length += this.#bytes.write(digits, this.#length, 'hex');
    return this;
  }

  /** A field: tag, length, content. What `write` leaves empty is still a field. */
  field(tag: number, write: (writer: Writer) => void): this {
    this.uint(tag, 1).uint(0, 1);
    const start = this.#length;
    write(this);
    this.#bytes.writeUInt8(this.#length - start, start - 1);
    return this;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

export class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  /** An unsigned integer of 1 to 6 bytes. */
  uint(bytes: number): number | undefined {
    if (this.left < bytes) return undefined;
    this.#at += bytes;
    return this.#bytes.readUIntBE(this.#at - bytes, bytes);
  }

  hex(bytes: number): string | undefined {
    if (this.left < bytes) return undefined;
    this.#at += bytes;
    return this.#bytes.toString('hex', this.#at - bytes, this.#at);
  }

  /** The next field and a reader of its content. */
  field(): { tag: number; content: Reader } | undefined {
    const tag = this.uint(1);
    const length = this.uint(1);
    if (tag === undefined || length === undefined || this.left < length) return undefined;
    const content = new Reader(this.#bytes, this.#at, this.#at + length);
    this.#at += length;
    return { tag, content };
  }
}
