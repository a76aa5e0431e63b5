// The images as .img.zst. Frames are put one behind the other: a stretch with data is one frame, a stretch of nothing
// is one that was made before. So devices of one board, which differ in their stamps, cost about as much as one.
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { run } from '../../formats/programs.ts';
import type { Range } from '../disk/volume.ts';
import { type BlockMap, parseBlockMap } from '../pack/bmap.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  board: z.string(),
  hostnames: z.array(z.string()),
  level: z.int().min(1).max(19),
  /** Version of zstd: another one may give other bytes. */
  zstd: z.string(),
});

/** `HOSTNAME.img.zst` for each image of `disk`; `bmap` holds their block maps. */
export const zst: Stage<z.output<typeof schema>, Readonly<Record<'disk' | 'bmap', string>>> = {
  name: 'zst',
  summary: 'packs the images with zstd',
  version: 1,
  schema,
  async run({ hostnames, level }, { disk, bmap }, workshop) {
    const frames = join(workshop.result, '.frames');
    await mkdir(frames);
    const made = new Map<string, Promise<string>>();
    const frameOf = (key: string, length: number, input: () => Readable): Promise<string> => {
      const known = made.get(key);
      if (known !== undefined) return known;
      const file = join(frames, String(made.size));
      const frame = compress(input(), { file, length, level, signal: workshop.signal }).then(() => file);
      made.set(key, frame);
      return frame;
    };
    for (const [index, hostname] of hostnames.entries()) {
      const image = join(disk, `${hostname}.img`);
      const map = await readBlockMap(join(bmap, `${hostname}.img.bmap`));
      const target = join(workshop.result, `${hostname}.img.zst`);
      for (const { start, end, content } of stretches(map)) {
        const length = end - start;
        const frame = content
          ? await frameOf(content, length, () =>
              createReadStream(image, { start, end: end - 1, highWaterMark }),
            )
          : await frameOf(`zeros ${length}`, length, () => Readable.from(zeros(length)));
        await pipeline(createReadStream(frame), createWriteStream(target, { flags: 'a' }));
      }
      workshop.progress(index + 1, hostnames.length);
    }
    await rm(frames, { recursive: true });
  },
};

const highWaterMark = 1024 * 1024;

interface Stretch extends Range {
  /** What the stretch holds, said by its block map; '' for nothing but zeros. */
  readonly content: string;
}

/** Where stretches may end: behind all that differs from device to device, then at every so many bytes. */
const firstEnd = 4 * 1024 * 1024;
const step = 64 * 1024 * 1024;

/** Divides an image into stretches with data and stretches without. No run of blocks is in two of them. */
export function stretches({ size, runs }: BlockMap): Stretch[] {
  const found: { start: number; end: number; runs: string[] }[] = [];
  for (let start = 0; start < size; ) {
    const end = Math.min(size, start < firstEnd ? firstEnd : (Math.floor(start / step) + 1) * step);
    const words = runs
      .filter((one) => one.start < end && one.end > start)
      .map((one) => `${one.start}-${one.end} ${one.sha256}`);
    const last = found.at(-1);
    const straddled = runs.some((one) => one.start < start && one.end > start);
    // Two with data become one frame; but not the first, which holds the stamp.
    const both = words.length > 0 && last !== undefined && last.runs.length > 0 && last.start > 0;
    if (last !== undefined && (straddled || both)) {
      last.end = end;
      last.runs.push(...words);
    } else found.push({ start, end, runs: words });
    start = end;
  }
  return found.map((one) => ({ start: one.start, end: one.end, content: one.runs.join('\n') }));
}

/** One frame. The bytes do not depend on how many threads zstd uses. */
async function compress(
  input: Readable,
  { file, length, level, signal }: { file: string; length: number; level: number; signal: AbortSignal },
): Promise<void> {
  await run('zstd', ['-q', '-T0', `-${level}`, `--stream-size=${length}`, '-c'], {
    input,
    stdout: { file },
    buffer: false,
    cancelSignal: signal,
  });
}

function* zeros(length: number): Generator<Buffer> {
  const block = Buffer.alloc(highWaterMark);
  for (let left = length; left > 0; left -= block.length)
    yield block.subarray(0, Math.min(left, block.length));
}

async function readBlockMap(file: string): Promise<BlockMap> {
  const map = parseBlockMap(await readFile(file, 'utf8'));
  if (typeof map === 'string') throw new Error(`${file}: ${map}`);
  return map;
}
