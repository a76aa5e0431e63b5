// Digests of the images as whole files. Every byte counts, holes too, which takes longer than all else about an image:
// so it is a stage for itself, that runs beside those that pack.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { writeSums } from '../pack/sums.ts';
import { readSurvey } from '../pack/survey.ts';
import { Threads } from '../pack/threads.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({ board: z.string(), hostnames: z.array(z.string()) });

/** The sums of the images of `disk`. */
export const digest: Stage<z.output<typeof schema>, { readonly disk: string }> = {
  name: 'digest',
  summary: 'digests the images',
  version: 1,
  schema,
  async run({ board, hostnames }, { disk }, { result, signal, progress }) {
    const { size, runs: ranges } = await readSurvey(disk, board);
    // More than there are cores: who packs beside has threads, too, and no image should be left for the end.
    const threads = new Threads({ count: 2 * availableParallelism(), signal });
    let done = 0;
    try {
      const sums = hostnames.map(async (hostname) => {
        const name = `${hostname}.img`;
        const sha256 = await threads.digest(join(disk, name), { ranges, size });
        progress(++done, hostnames.length);
        return [name, sha256] as const;
      });
      await writeSums(result, board, Object.fromEntries(await Promise.all(sums)));
    } finally {
      await threads.close();
    }
  },
};
