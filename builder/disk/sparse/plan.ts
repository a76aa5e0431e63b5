// The Android sparse format of a volume: mapped blocks as they are, the others left out.
// Source: system/core/libsparse/sparse_format.h of Android.
//
// Limits: volumes of whole 4 KiB blocks below 16 TiB; chunks of at most 4 GiB less one block, more are split. All
// numbers are little endian. Bytes of a mapped block that are not mapped themselves are zeros.
import { Failure } from '../../../formats/errors.ts';
import type { Output, Range, Volume } from '../volume.ts';

const blockSize = 4096;
export const magic = 0xed26ff3a;
export const fileHeaderSize = 28;
export const chunkHeaderSize = 12;
/** Kinds of chunks: bytes follow; nothing follows and the medium keeps what it has. */
export const chunkTypes = { raw: 0xcac1, skipped: 0xcac3 } as const;
const mostBlocks = 0xffff_ffff;
/** The length of a chunk with its header has 32 bits. */
const mostInChunk = Math.floor((0xffff_ffff - chunkHeaderSize) / blockSize);

interface Chunk {
  /** In blocks of the volume. */
  readonly start: number;
  readonly count: number;
  readonly raw: boolean;
  /** Where its header is in the sparse file, in bytes. */
  readonly at: number;
}

/** Plans the sparse form. Refuses a volume that does not end at a block, or is too large. */
export function planSparse(volume: Volume): Volume {
  const blocks = volume.size / blockSize;
  if (!Number.isInteger(blocks) || blocks > mostBlocks) {
    throw new Failure('input', {
      what: `a volume of ${volume.size} bytes has no sparse form`,
      why: blocks > mostBlocks ? '16 TiB is the most' : `it does not end at a block of ${blockSize} bytes`,
    });
  }
  const chunks = chunksOf(volume.mapped, blocks);
  const last = chunks.at(-1);
  const size = last === undefined ? fileHeaderSize : last.at + lengthOf(last);
  return {
    size,
    mapped: [{ start: 0, end: size }],
    async write(output) {
      const sink = new ChunkSink(output, chunks);
      output.write(0, fileHeader(blocks, chunks.length));
      await volume.write(sink);
      sink.end();
    },
  };
}

function chunksOf(mapped: readonly Range[], blocks: number): Chunk[] {
  const chunks: Chunk[] = [];
  let reached = 0;
  let at = fileHeaderSize;
  const add = (until: number, raw: boolean): void => {
    while (reached < until) {
      const chunk = { start: reached, count: Math.min(until - reached, mostInChunk), raw, at };
      chunks.push(chunk);
      reached += chunk.count;
      at += lengthOf(chunk);
    }
  };
  for (const { start, end } of joinedBlocks(mapped)) {
    add(start, false);
    add(end, true);
  }
  add(blocks, false);
  return chunks;
}

/** The blocks that ranges of bytes touch. */
function joinedBlocks(mapped: readonly Range[]): Range[] {
  const joined: { start: number; end: number }[] = [];
  for (const range of mapped) {
    const [start, end] = [Math.floor(range.start / blockSize), Math.ceil(range.end / blockSize)];
    const last = joined.at(-1);
    if (last !== undefined && start <= last.end) last.end = end;
    else joined.push({ start, end });
  }
  return joined;
}

/** Takes the bytes of the volume in ascending order and writes them chunk after chunk. */
class ChunkSink implements Output {
  readonly #output: Output;
  readonly #chunks: readonly Chunk[];
  #next = 0;
  /** Byte of the volume up to which the open raw chunk is written, and where it ends. */
  #reached = 0;
  #end = 0;
  /** What is to be added to a place in the volume for one in the sparse file, in the open chunk. */
  #shift = 0;

  constructor(output: Output, chunks: readonly Chunk[]) {
    this.#output = output;
    this.#chunks = chunks;
  }

  write(at: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      while (at + done >= this.#end) this.#open();
      this.#zeros(at + done);
      const part = bytes.subarray(done, done + this.#end - (at + done));
      this.#output.write(at + done + this.#shift, part);
      done += part.length;
      this.#reached = at + done;
    }
  }

  end(): void {
    this.#zeros(this.#end);
    while (this.#next < this.#chunks.length) {
      this.#open();
      this.#zeros(this.#end);
    }
  }

  #open(): void {
    this.#zeros(this.#end);
    const chunk = this.#chunks[this.#next++];
    if (chunk === undefined) throw new Error('a volume wrote more than it maps');
    this.#output.write(chunk.at, chunkHeader(chunk));
    if (!chunk.raw) return;
    this.#reached = chunk.start * blockSize;
    this.#end = (chunk.start + chunk.count) * blockSize;
    this.#shift = chunk.at + chunkHeaderSize - this.#reached;
  }

  #zeros(until: number): void {
    if (until <= this.#reached) return;
    // Only what is left of a block is ever not mapped.
    this.#output.write(this.#reached + this.#shift, new Uint8Array(until - this.#reached));
    this.#reached = until;
  }
}

function lengthOf({ count, raw }: Pick<Chunk, 'count' | 'raw'>): number {
  return chunkHeaderSize + (raw ? count * blockSize : 0);
}

function fileHeader(blocks: number, chunks: number): Buffer {
  const header = Buffer.alloc(fileHeaderSize);
  header.writeUInt32LE(magic, 0);
  header.writeUInt16LE(1, 4); // version 1.0
  header.writeUInt16LE(fileHeaderSize, 8);
  header.writeUInt16LE(chunkHeaderSize, 10);
  header.writeUInt32LE(blockSize, 12);
  header.writeUInt32LE(blocks, 16);
  header.writeUInt32LE(chunks, 20); // the checksum behind it is not used
  return header;
}

function chunkHeader(chunk: Chunk): Buffer {
  const header = Buffer.alloc(chunkHeaderSize);
  header.writeUInt16LE(chunk.raw ? chunkTypes.raw : chunkTypes.skipped, 0);
  header.writeUInt32LE(chunk.count, 4);
  header.writeUInt32LE(lengthOf(chunk), 8);
  return header;
}
