import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Batch } from './batch.ts';
import type { Output } from './volume.ts';

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'edgekiln-batch-'));
/** More than are kept open. */
const files = Array.from({ length: 80 }, (_, i) => join(folder, `${i}`));
const contents = files.map((_, i) => Buffer.alloc(MIB / 2, `${i} of many `));

beforeAll(() => {
  for (const [i, file] of files.entries()) writeFileSync(file, contents[i] ?? '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Keeps what is written, and sees that it comes in order. */
class Kept implements Output {
  readonly parts: Buffer[] = [];
  #reached = 0;

  write(at: number, bytes: Uint8Array): void {
    expect(at).toBe(this.#reached);
    this.#reached += bytes.length;
    this.parts.push(Buffer.from(bytes));
  }
}

interface Piece {
  readonly file: number;
  readonly at: number;
  readonly length: number;
}

/** Pieces of all sizes from here and there, more than the thread takes at once; the same in every run. */
function pieces(total: number): Piece[] {
  const found: Piece[] = [];
  let state = 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let sum = 0; sum < total; ) {
    const length = next(10) === 0 ? next(MIB / 4) : next(9000);
    found.push({ file: next(files.length), at: next(MIB / 2 - length), length });
    sum += length;
  }
  return found;
}

function append(batch: Batch, { file, at, length }: Piece): void {
  batch.append({ at: 'file', file: files[file] ?? '', offset: at, length }, 0, length);
}

describe('a batch', () => {
  test('holds what it was told to, in order, however many pieces and files that are', async () => {
    const output = new Kept();
    const batch = new Batch(output);
    const expected: Buffer[] = [];
    for (const [i, piece] of pieces(24 * MIB).entries()) {
      append(batch, piece);
      expected.push(contents[piece.file]?.subarray(piece.at, piece.at + piece.length) ?? Buffer.alloc(0));
      if (i % 7 !== 0) continue;
      batch.room(64).fill(i);
      batch.zeros(batch.at + 100);
      expected.push(Buffer.alloc(64, i), Buffer.alloc(100));
      if (batch.tired) await batch.rest();
    }
    batch.end();
    expect(Buffer.concat(output.parts).equals(Buffer.concat(expected))).toBe(true);
  });

  test('two at once do not disturb each other', () => {
    const outputs = [new Kept(), new Kept()];
    const batches = outputs.map((output) => new Batch(output));
    const all = pieces(16 * MIB);
    for (const piece of all) for (const batch of batches) append(batch, piece);
    for (const batch of batches) batch.end();
    const expected = all.map(
      ({ file, at, length }) => contents[file]?.subarray(at, at + length) ?? Buffer.alloc(0),
    );
    for (const { parts } of outputs) expect(Buffer.concat(parts).equals(Buffer.concat(expected))).toBe(true);
  });

  test('says which file became shorter, and can be closed then', () => {
    const short = join(folder, 'short');
    writeFileSync(short, Buffer.alloc(MIB));
    truncateSync(short, 1000);
    const batch = new Batch(new Kept());
    expect(() => {
      for (const piece of pieces(12 * MIB)) append(batch, piece);
      batch.append({ at: 'file', file: short, offset: 0, length: 2000 }, 0, 2000);
      batch.end();
    }).toThrow(expect.objectContaining({ problems: [expect.objectContaining({ where: short })] }));
    batch.close();
  });

  test('an output that fails ends it; the next one is whole', () => {
    const failing = new Batch({
      write(at) {
        if (at > 8 * MIB) throw new Error('no more');
      },
    });
    const all = pieces(16 * MIB);
    expect(() => {
      for (const piece of all) append(failing, piece);
    }).toThrow('no more');
    failing.close();
    const output = new Kept();
    const batch = new Batch(output);
    for (const piece of all) append(batch, piece);
    batch.end();
    const expected = all.map(
      ({ file, at, length }) => contents[file]?.subarray(at, at + length) ?? Buffer.alloc(0),
    );
    expect(Buffer.concat(output.parts).equals(Buffer.concat(expected))).toBe(true);
  });
});
