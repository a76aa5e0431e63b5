// The images as .img.zst: frames one behind the other. Each stretch of an image is a frame for itself, made once for
// all devices and all builds in which it holds the same, and one that carries no data is not read.
import { join } from 'node:path';
import { z } from 'zod';
import type { Range } from '../disk/volume.ts';
import { Frames } from '../pack/frames.ts';
import { JoinedFile, type Stretch } from '../pack/joined.ts';
import { inOrder } from '../pack/ordered.ts';
import { differing, readSurvey, touching } from '../pack/survey.ts';
import { Threads } from '../pack/threads.ts';
import { sweepPartials } from '../pipeline/partial.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  board: z.string(),
  hostnames: z.array(z.string()),
  level: z.int().min(1).max(19),
  /** Version of zstd: another one may give other bytes. */
  zstd: z.string(),
});

/** Bytes of an image that become one frame: as much as stays the same from build to build. */
const stretch = 16 * 1024 * 1024;

/** `HOSTNAME.img.zst` for each image of `disk`; `chunks` keeps frames. */
export const zst: Stage<z.output<typeof schema>, Readonly<Record<'disk' | 'chunks', string>>> = {
  name: 'zst',
  summary: 'packs the images with zstd',
  version: 2,
  schema,
  async run({ board, hostnames, level, zstd }, { disk, chunks }, workshop) {
    const { result, signal } = workshop;
    const survey = await readSurvey(disk, board);
    const threads = new Threads({ signal });
    const folder = join(chunks, `zstd-${level}-${zstd}`);
    await sweepPartials(folder);
    const frames = new Frames({ folder, level, threads, signal });
    let done = 0;
    const [first = ''] = hostnames;
    const made = new Map<number, Promise<Stretch>>();
    const ends: Promise<void>[] = [];
    try {
      for (const hostname of hostnames) {
        const image = join(disk, `${hostname}.img`);
        const holds = touching(survey.runs);
        const differs = touching(differing(survey, first, hostname));
        const frame = (range: Range): Promise<Stretch> => {
          const known = differs(range) ? undefined : made.get(range.start);
          const own = known ?? (holds(range) ? frames.of(image, range) : frames.zeros(range));
          if (hostname === first) made.set(range.start, own);
          return own;
        };
        const output = new JoinedFile(join(result, `${hostname}.img.zst`));
        try {
          const ranges = stretches(survey.size);
          for await (const each of inOrder(ranges, { ahead: threads.count, signal }, frame)) {
            output.appendFrom(each);
            workshop.progress(++done, hostnames.length * Math.ceil(survey.size / stretch));
          }
        } catch (error) {
          output.close();
          throw error;
        }
        const end = output.end();
        end.catch(() => {}); // it is awaited below
        ends.push(end);
      }
      await Promise.all(ends);
    } finally {
      await threads.close();
    }
  },
};

function* stretches(size: number): Generator<Range> {
  for (let start = 0; start < size; start += stretch) yield { start, end: Math.min(size, start + stretch) };
}
