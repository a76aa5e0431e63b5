import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writeToFile } from '../output.ts';
import { bytesVolume } from '../volumes.ts';
import { type MbrOptions, planMbr } from './plan.ts';

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

it('refuses a fifth partition and what reaches over 2 TiB', () => {
  const [one] = options.partitions;
  if (one === undefined) throw new Error('there is one');
  expect(() => planMbr({ ...options, partitions: Array(5).fill(one) })).toThrow(
    'a fifth partition cannot be put on the disk',
  );
  const far = { name: 'far', type: 'linux' as const, start: 512, size: 2 ** 41 };
  expect(() => planMbr({ ...options, size: 2 ** 42, partitions: [far] })).toThrow(
    'partition far cannot be put on the disk',
  );
});
