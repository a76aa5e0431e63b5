// What closes a build: digests of all files that leave, the manifest, and the profile as it was understood.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestsOf, readSurvey } from '../pack/survey.ts';
import { Threads } from '../pack/threads.ts';
import {
  type Manifest,
  manifestFile,
  renderManifest,
  resolvedProfileFile,
  sumsFile,
} from '../pipeline/manifest.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  /** The manifest without the files. */
  manifest: z.custom<Manifest>(),
  /** YAML. */
  profile: z.string(),
  /** Names of the files that leave, by device. */
  files: z.record(z.string(), z.array(z.string())),
});

/** `folder` is where the files are, and where this stage's own go. */
export const manifest: Stage<z.output<typeof schema>, Readonly<Record<string, string>>> = {
  name: 'manifest',
  summary: 'digests what leaves and says what it is made of',
  version: 1,
  schema,
  async run(options, inputs, workshop) {
    const folder = inputs['folder'] ?? '';
    const threads = new Threads({ signal: workshop.signal });
    const total = Object.values(options.files).flat().length;
    let done = 0;
    try {
      const digested = async (name: string, board: string) => {
        const file = join(folder, name);
        const { size } = await stat(file);
        // An image was read for its digest when it was made.
        const sha256 = name.endsWith('.img')
          ? digestsOf(await readSurvey(folder, board), name.slice(0, -'.img'.length)).sha256
          : await threads.digest(file);
        workshop.progress(++done, total);
        return { name, size, sha256 };
      };
      const devices = await Promise.all(
        options.manifest.devices.map(async (device) => ({
          ...device,
          files: await Promise.all(
            (options.files[device.device] ?? []).map((name) => digested(name, device.board)),
          ),
        })),
      );
      const own = {
        [manifestFile]: renderManifest({ ...options.manifest, devices }),
        [resolvedProfileFile]: options.profile,
      };
      const sums = devices.flatMap(({ files }) => files.map(({ name, sha256 }) => line(sha256, name)));
      for (const [name, text] of Object.entries(own)) {
        const file = join(workshop.result, name);
        await writeFile(file, text);
        sums.push(line(await threads.digest(file), name));
      }
      await writeFile(join(workshop.result, sumsFile), sums.join(''));
    } finally {
      await threads.close();
    }
  },
};

function line(sha256: string, name: string): string {
  return `${sha256}  ${name}\n`;
}
