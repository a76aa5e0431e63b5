// Block maps of the images: what a flasher needs to write, with digests.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { blockRanges, renderBlockMap } from '../pack/bmap.ts';
import { readMapped } from '../pack/mapped.ts';
import { Threads } from '../pack/threads.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({ board: z.string(), hostnames: z.array(z.string()) });

/** `HOSTNAME.img.bmap` for each image of the input `disk`. */
export const bmap: Stage<z.output<typeof schema>, { readonly disk: string }> = {
  name: 'bmap',
  summary: 'digests the blocks that carry data',
  version: 1,
  schema,
  async run({ board, hostnames }, { disk }, workshop) {
    const { size, ranges } = await readMapped(disk, board);
    const blocks = blockRanges(ranges);
    const threads = new Threads();
    try {
      await Promise.all(
        hostnames.map(async (hostname) => {
          const digests = await threads.runs(join(disk, `${hostname}.img`), blocks);
          const runs = blocks.map((range, index) => ({ ...range, sha256: digests[index] ?? '' }));
          await writeFile(join(workshop.result, `${hostname}.img.bmap`), renderBlockMap({ size, runs }));
        }),
      );
    } finally {
      await threads.close();
    }
  },
};
