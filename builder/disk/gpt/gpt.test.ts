import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { crc32 } from '../crc32.ts';
import { writeToFile } from '../output.ts';
import { bytesVolume } from '../volumes.ts';
import { type GptOptions, planGpt } from './plan.ts';
import { readGpt } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'gpt-'));
afterAll(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'image');
const MiB = 1024 ** 2;
const linuxType = '0fc63daf-8483-4772-8e79-3d69d8477de4';
const guid = (number: number) =>
  `${number}${'2345678'.slice(`${number}`.length - 1)}-9abc-4def-8123-456789abcdef`;

const options: GptOptions = {
  size: 64 * MiB,
  diskGuid: guid(0),
  partitions: [
    {
      name: 'esp',
      type: 'esp',
      guid: guid(1),
      start: 4 * MiB,
      size: 8 * MiB,
      content: bytesVolume(Buffer.from('one')),
    },
    { name: 'slot-a', type: 'linux', guid: guid(2), start: 12 * MiB, size: 20 * MiB },
    {
      name: 'däta',
      type: 'linux',
      guid: guid(3),
      start: 32 * MiB,
      size: 31 * MiB,
      content: bytesVolume(Buffer.from('three')),
    },
  ],
  extra: [{ name: 'stamp', at: 3 * MiB, size: 65_536, content: bytesVolume(Buffer.from('stamp')) }],
};

describe('a GUID partition table', () => {
  it('is what sfdisk reads and finds no fault with', async () => {
    await writeToFile(planGpt(options), image);
    const dump = execFileSync('sfdisk', ['-d', image], { encoding: 'utf8' }).replaceAll(image, 'IMAGE');
    await expect(dump).toMatchFileSnapshot('golden/sfdisk.txt');
    const said = execFileSync('sfdisk', ['--verify', image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(said).toContain('No errors detected.');
  });

  it('puts everything at its place and maps nothing else', async () => {
    const volume = planGpt(options);
    await writeToFile(volume, image);
    const bytes = readFileSync(image);
    expect(bytes.subarray(3 * MiB, 3 * MiB + 5).toString()).toBe('stamp');
    expect(bytes.subarray(4 * MiB, 4 * MiB + 3).toString()).toBe('one');
    expect(bytes.subarray(32 * MiB, 32 * MiB + 5).toString()).toBe('three');
    expect(volume.mapped).toEqual([
      { start: 0, end: 17_408 },
      { start: 3 * MiB, end: 3 * MiB + 5 },
      { start: 4 * MiB, end: 4 * MiB + 3 },
      { start: 32 * MiB, end: 32 * MiB + 5 },
      { start: 64 * MiB - 33 * 512, end: 64 * MiB },
    ]);
  });

  it('is mended from its backup alone', async () => {
    await writeToFile(planGpt(options), image);
    execFileSync('dd', ['if=/dev/zero', `of=${image}`, 'bs=512', 'seek=1', 'count=33', 'conv=notrunc'], {
      stdio: 'ignore',
    });
    const dump = execFileSync('sfdisk', ['-d', image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await expect(dump.replaceAll(image, 'IMAGE')).toMatchFileSnapshot('golden/sfdisk.txt');
    expect(readGpt(image)).toMatchObject({ from: 'backup', diskGuid: options.diskGuid });
  });

  it('is read back, and the backup where any byte of the first is wrong', async () => {
    await writeToFile(planGpt(options), image);
    const whole = readFileSync(image);
    const expected = readGpt(image);
    expect(expected).toMatchObject({ from: 'first', diskGuid: options.diskGuid });
    expect(
      expected?.partitions.map(({ name, type, guid, start, size }) => ({ name, type, guid, start, size })),
    ).toEqual(
      options.partitions.map(({ name, guid, start, size }, index) => ({
        name,
        type: index === 0 ? 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b' : linuxType,
        guid,
        start,
        size,
      })),
    );
    for (const at of [512, 512 + 16, 512 + 40, 512 + 72, 1024, 1024 + 33, 34 * 512 - 1]) {
      whole[at] = (whole[at] ?? 0) ^ 1;
      writeFileSync(image, whole);
      whole[at] = (whole[at] ?? 0) ^ 1;
      expect(readGpt(image)).toEqual({ ...expected, from: 'backup' });
    }
    writeFileSync(image, Buffer.alloc(MiB));
    expect(readGpt(image)).toBeUndefined();
    writeFileSync(image, Buffer.alloc(100));
    expect(readGpt(image)).toBeUndefined();
  });

  it('covers disks beyond 2 TiB', async () => {
    const TiB = 1024 ** 4;
    const partitions = [
      { name: 'a', type: 'linux' as const, guid: guid(1), start: MiB, size: 3 * TiB },
      { name: 'b', type: 'linux' as const, guid: guid(2), start: 3 * TiB + MiB, size: TiB },
    ];
    await writeToFile(planGpt({ ...options, size: 5 * TiB, partitions, extra: [] }), image);
    const said = execFileSync('sfdisk', ['--verify', image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(said).toContain('No errors detected.');
    expect(readGpt(image)?.partitions).toMatchObject(partitions.map(({ start, size }) => ({ start, size })));
    rmSync(image);
  });

  it('with any partitions, is without fault', { timeout: 60_000 }, async () => {
    const sizes = fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(sizes, async (list) => {
        let at = 34 * 512;
        const partitions = list.map(([gap, sectors], index) => {
          const start = at + gap * 512;
          at = start + sectors * 512;
          return {
            name: `p${index}`,
            type: 'linux' as const,
            guid: guid(10 + index),
            start,
            size: sectors * 512,
          };
        });
        await writeToFile(planGpt({ ...options, partitions, extra: [] }), image);
        const { partitiontable } = JSON.parse(
          execFileSync('sfdisk', ['-J', image], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
        );
        const read = partitiontable.partitions.map((one: { start: number; size: number }) => [
          one.start * 512,
          one.size * 512,
        ]);
        expect(read).toEqual(partitions.map(({ start, size }) => [start, size]));
        expect(readGpt(image)?.partitions).toEqual(
          partitions.map((partition, index) => ({ ...partition, number: index + 1, type: linuxType })),
        );
      }),
      { numRuns: 20 },
    );
  });

  const linux = { type: 'linux' as const, size: MiB };
  const bad: [change: Partial<GptOptions>, what: string, why: string][] = [
    [
      { extra: [{ name: 'stamp', at: 3 * MiB, size: 2 * MiB }] },
      'stamp and partition esp cannot be put on the disk',
      `they overlap by ${MiB} bytes`,
    ],
    [
      { partitions: [{ name: 'late', type: 'linux', guid: guid(1), start: 4 * MiB, size: 60 * MiB }] },
      'partition late cannot be put on the disk',
      'it ends 16896 bytes behind the last usable sector',
    ],
    [
      {
        partitions: [
          {
            name: 'full',
            type: 'linux',
            guid: guid(1),
            start: 4 * MiB,
            size: 512,
            content: bytesVolume(Buffer.alloc(600)),
          },
        ],
      },
      'partition full cannot be put on the disk',
      'what is in it is 88 bytes larger',
    ],
    [
      {
        partitions: [
          { ...linux, name: 'one', guid: guid(1), start: 4 * MiB },
          { ...linux, name: 'two', guid: guid(1), start: 5 * MiB },
        ],
      },
      'partition two cannot be put on the disk',
      `another one is ${guid(1)} as well`,
    ],
    [
      {
        partitions: [
          { ...linux, name: 'one', guid: guid(1).replace(/.$/, 'a'), start: 4 * MiB },
          { ...linux, name: 'two', guid: guid(1).replace(/.$/, 'A'), start: 5 * MiB },
        ],
      },
      'partition two cannot be put on the disk',
      `another one is ${guid(1).replace(/.$/, 'A')} as well`,
    ],
    [
      {
        partitions: Array.from({ length: 129 }, (_, i) => {
          return { ...linux, name: `p${i}`, guid: guid(i), start: (4 + i) * MiB };
        }),
      },
      'partition p128 cannot be put on the disk',
      'a GPT has 128',
    ],
    [
      { size: 1024, partitions: [] },
      'a partition table cannot be put on the disk',
      'it takes 34816 bytes, and the disk has 1024',
    ],
    [
      { size: 64 * MiB + 1 },
      'a partition table cannot be put on the disk',
      'the disk does not end at a sector',
    ],
    [
      { partitions: [{ name: 'odd', type: 'linux', guid: guid(1), start: 4 * MiB + 1, size: 512 }] },
      'partition odd cannot be put on the disk',
      'it does not begin and end at a sector',
    ],
  ];
  it.each(bad)('refuses %#', (change, what, why) => {
    expect(() => planGpt({ ...options, ...change })).toThrow(
      expect.objectContaining({ kind: 'input', problems: [{ what, why }] }),
    );
  });
});

it('crc32 gives the check value of its definition', () => {
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
});
