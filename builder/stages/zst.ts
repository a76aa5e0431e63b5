// The images as .img.zst: frames one behind the other. Each stretch of an image is a frame for itself, made once for
// all devices and all builds in which it holds the same, and one that carries no data is not read.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { Frames, type Held } from '../pack/frames.ts';
import { JoinedFiles } from '../pack/joined.ts';
import { inOrder } from '../pack/ordered.ts';
import { chunk, chunksOf, readSurvey, type Survey } from '../pack/survey.ts';
import { type Stretch, Threads } from '../pack/threads.ts';
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
const stretch = 16 * chunk;

/** `HOSTNAME.img.zst` for each image of `disk`; `chunks` keeps frames. */
export const zst: Stage<z.output<typeof schema>, Readonly<Record<'disk' | 'chunks', string>>> = {
  name: 'zst',
  summary: 'packs the images with zstd',
  version: 3,
  schema,
  async run({ board, hostnames, level, zstd }, { disk, chunks }, workshop) {
    const { signal } = workshop;
    const survey = await readSurvey(disk, board);
    const threads = new Threads({ signal });
    const folder = join(chunks, `zstd-${level}-${zstd}`);
    await sweepPartials(folder);
    const frames = new Frames({ folder, level, threads, signal });
    const joined = new JoinedFiles(threads, workshop);
    let done = 0;
    try {
      for (const hostname of hostnames) {
        const image = join(disk, `${hostname}.img`);
        const ahead = { ahead: threads.count, signal };
        const parts: Stretch[] = [];
        for await (const each of inOrder(stretchesOf(survey, hostname), ahead, (one) =>
          frames.of(image, one),
        )) {
          parts.push(each);
          workshop.progress(++done, hostnames.length * Math.ceil(survey.size / stretch));
        }
        joined.add(`${hostname}.img.zst`, parts);
      }
      await joined.end(`${board}-zst`);
    } finally {
      await threads.close();
    }
  },
};

/** An image's stretches in their order, by what they hold; one without a digest is a hole. */
function* stretchesOf(survey: Survey, hostname: string): Generator<Held> {
  const chunks = [...chunksOf(survey, hostname)];
  for (let at = 0; at < chunks.length; at += stretch / chunk) {
    const own = chunks.slice(at, at + stretch / chunk);
    const [start, end] = [own[0]?.start ?? 0, own.at(-1)?.end ?? 0];
    const hole = own.every(({ digest }) => digest === undefined);
    const text = own.map((one) => `${one.end - one.start} ${one.digest ?? 'zeros'}\n`).join('');
    const digest = hole ? undefined : createHash('sha256').update(text).digest('hex');
    yield { start, end, digest, chunks: own };
  }
}
