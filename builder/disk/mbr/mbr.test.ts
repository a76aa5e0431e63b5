import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { writeToFile } from '../output.ts';
import { bytesVolume } from '../volumes.ts';
import { type MbrOptions, planMbr } from './plan.ts';
import { readMbr } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbr-'));
afterAll(() => rmSync(folder, { recursive: true }));
const MiB = 1024 ** 2;

const options: MbrOptions = {
  size: 64 * MiB,
  diskId: 0xed6e0001,
  partitions: [
    {
      name: 'boot',
      type: 'fat',
      bootable: true,
      start: 24 * MiB,
      size: 8 * MiB,
      content: bytesVolume(Buffer.from('boot')),
    },
    { name: 'slot-a', type: 'linux', start: 32 * MiB, size: 16 * MiB },
    { name: 'data', type: 'linux', start: 48 * MiB, size: 16 * MiB },
  ],
  extra: [{ name: 'SPL', at: 8192, size: 32_768, content: bytesVolume(Buffer.from('spl')) }],
};

it('is what sfdisk reads and finds no fault with', async () => {
  const image = join(folder, 'image');
  await writeToFile(planMbr(options), image);
  const dump = execFileSync('sfdisk', ['-d', image], { encoding: 'utf8' }).replaceAll(image, 'IMAGE');
  await expect(dump).toMatchFileSnapshot('golden/sfdisk.txt');
  expect(execFileSync('sfdisk', ['--verify', image], { encoding: 'utf8' })).toContain('No errors detected.');
  expect(readFileSync(image).subarray(8192, 8195).toString()).toBe('spl');
});

it('with any partitions, is what sfdisk and the reader read', async () => {
  const image = join(folder, 'any');
  const sectors = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 2 ** 21 }), fc.integer({ min: 1, max: 2 ** 23 })),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  await fc.assert(
    fc.asyncProperty(sectors, fc.integer({ min: 0, max: 0xffff_ffff }), async (list, diskId) => {
      let at = 512;
      const partitions = list.map(([gap, count], index) => {
        const start = at + gap * 512;
        at = start + count * 512;
        return { name: `p${index}`, type: 'linux' as const, bootable: index === 0, start, size: count * 512 };
      });
      await writeToFile(planMbr({ size: at, diskId, partitions }), image);
      const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['-J', image], { encoding: 'utf8' }));
      const said = partitiontable.partitions.map((one: { start: number; size: number }) => [
        one.start * 512,
        one.size * 512,
      ]);
      expect(said).toEqual(partitions.map(({ start, size }) => [start, size]));
      expect(Number(partitiontable.id)).toBe(diskId);
      expect(readMbr(image)).toEqual({
        diskId,
        partitions: partitions.map(({ start, size, bootable }, index) => ({
          number: index + 1,
          type: 0x83,
          bootable,
          start,
          size,
        })),
      });
    }),
    { numRuns: 20 },
  );
  rmSync(image);
});

it('is not seen where there is none', () => {
  const image = join(folder, 'none');
  for (const bytes of [Buffer.alloc(512), Buffer.alloc(100), Buffer.alloc(512, 0xaa).fill(0x55, 510, 511)]) {
    writeFileSync(image, bytes);
    expect(readMbr(image)).toBeUndefined();
  }
});

it('refuses a fifth partition and what reaches over 2 TiB', () => {
  const [one] = options.partitions;
  if (one === undefined) throw new Error('there is one');
  expect(() => planMbr({ ...options, partitions: Array(5).fill(one) })).toThrow(
    'a fifth partition cannot be put on the disk',
  );
  expect(() => planMbr({ ...options, size: 64 * MiB + 1 })).toThrow(
    'a partition table cannot be put on the disk',
  );
  const far = { name: 'far', type: 'linux' as const, start: 512, size: 2 ** 41 };
  expect(() => planMbr({ ...options, size: 2 ** 42, partitions: [far] })).toThrow(
    'partition far cannot be put on the disk',
  );
});
