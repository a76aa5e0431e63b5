import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { compose } from '../compose.ts';
import { writeToFile } from '../output.ts';
import type { Volume } from '../volume.ts';
import { bytesVolume } from '../volumes.ts';
import { planSparse } from './plan.ts';
import { readSparse } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'sparse-'));
afterAll(() => rmSync(folder, { recursive: true }));
const [plain, sparse, back] = [join(folder, 'plain'), join(folder, 'sparse'), join(folder, 'back')] as const;
const judged = spawnSync('simg2img').error === undefined;
if (!judged)
  console.warn('sparse: there is no simg2img (android-sdk-libsparse-utils); the reader judges alone');

/** Pieces of bytes at their places. */
function volumeOf(blocks: number, pieces: readonly (readonly [at: number, length: number])[]): Volume {
  return compose(
    blocks * 4096,
    pieces.map(([at, length], i) => {
      return { name: `${i}`, at, size: length, content: bytesVolume(Buffer.alloc(length, 1 + (i % 255))) };
    }),
  );
}

async function expectSame(volume: Volume): Promise<void> {
  await writeToFile(volume, plain);
  const planned = planSparse(volume);
  await writeToFile(planned, sparse);
  const expected = readFileSync(plain);
  expect(readFileSync(sparse).length).toBe(planned.size);
  const read = readSparse(sparse);
  if (read === undefined) throw new Error('the reader did not know it');
  await writeToFile(read, back);
  expect(readFileSync(back).equals(expected)).toBe(true);
  if (!judged) return;
  rmSync(back);
  execFileSync('simg2img', [sparse, back], { stdio: 'pipe' });
  expect(readFileSync(back).equals(expected)).toBe(true);
}

describe('the sparse form', () => {
  it('of whole and broken blocks, is what simg2img unpacks', async () => {
    await expectSame(
      volumeOf(100, [
        [0, 17_408],
        [40_960, 4096],
        [45_100, 5],
        [49_000, 1],
        [100 * 4096 - 10, 10],
      ]),
    );
    await expectSame(volumeOf(10, []));
    await expectSame(volumeOf(3, [[0, 3 * 4096]]));
  });

  it('of any volume', { timeout: 60_000 }, async () => {
    const gaps = fc.array(fc.tuple(fc.nat({ max: 20_000 }), fc.integer({ min: 1, max: 20_000 })), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(gaps, fc.nat({ max: 5 }), async (list, rest) => {
        let at = 0;
        const pieces = list.map(([gap, length]) => {
          const start = at + gap;
          at = start + length;
          return [start, length] as const;
        });
        await expectSame(volumeOf(Math.ceil(at / 4096) + rest + 1, pieces));
      }),
      { numRuns: 30 },
    );
  });

  it('splits what is longer than a chunk may be', () => {
    const volume: Volume = { size: 2 ** 34, mapped: [{ start: 0, end: 2 ** 34 }], write: async () => {} };
    // Five chunks of at most 4 GiB less one block.
    expect(planSparse(volume).size).toBe(28 + 5 * 12 + 2 ** 34);
  });

  it('refuses what does not end at a block, or is too large', () => {
    const empty: Volume = { size: 4095, mapped: [], write: async () => {} };
    expect(() => planSparse(empty)).toThrow('a volume of 4095 bytes has no sparse form');
    expect(() => planSparse({ ...empty, size: 2 ** 44 })).toThrow('has no sparse form');
  });

  it('is not seen in what is none, and refused where it is broken', async () => {
    writeFileSync(plain, Buffer.alloc(4096));
    expect(readSparse(plain)).toBeUndefined();
    await writeToFile(planSparse(volumeOf(10, [[0, 4096]])), sparse);
    const whole = readFileSync(sparse);
    for (const at of [4, 8, 16, 28, 32, 36]) {
      const broken = Buffer.from(whole);
      broken[at] = (broken[at] ?? 0) ^ 0x7f;
      writeFileSync(sparse, broken);
      expect(() => readSparse(sparse)).toThrow('not a sparse image that can be read');
    }
  });

  it.skipIf(!judged)('reads what img2simg made, fills included', async () => {
    const bytes = Buffer.alloc(40 * 4096);
    bytes.fill('abcd', 4096, 5 * 4096).fill(7, 9 * 4096, 9 * 4096 + 11);
    writeFileSync(plain, bytes);
    execFileSync('img2simg', [plain, sparse], { stdio: 'pipe' });
    const read = readSparse(sparse);
    if (read === undefined) throw new Error('the reader did not know it');
    await writeToFile(read, back);
    expect(readFileSync(back).equals(bytes)).toBe(true);
  });
});
