// Block maps of the images: what a flasher needs to write, with digests.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { renderBlockMap } from '../pack/bmap.ts';
import { digestsOf, readSurvey } from '../pack/survey.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({ board: z.string(), hostnames: z.array(z.string()) });

/** `HOSTNAME.img.bmap` for each image of the input `disk`. */
export const bmap: Stage<z.output<typeof schema>, { readonly disk: string }> = {
  name: 'bmap',
  summary: 'names the blocks that carry data, with their digests',
  version: 2,
  schema,
  async run({ board, hostnames }, { disk }, workshop) {
    const survey = await readSurvey(disk, board);
    for (const hostname of hostnames) {
      const digests = digestsOf(survey, hostname).runs;
      const runs = survey.runs.map((range, index) => ({ ...range, sha256: digests[index] ?? '' }));
      const map = renderBlockMap({ size: survey.size, runs });
      await writeFile(join(workshop.result, `${hostname}.img.bmap`), map);
    }
  },
};
