// What closes a build: digests of all files that leave, the manifest, and the profile as it was understood.
import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readSums, type Sums } from '../pack/sums.ts';
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

/** `folder` is where the files are, and where this stage's own go; the inputs `sums PART` hold digests of them. */
export const manifest: Stage<z.output<typeof schema>, Readonly<Record<string, string>>> = {
  name: 'manifest',
  summary: 'says what leaves and what it is made of',
  version: 2,
  schema,
  async run(options, inputs, workshop) {
    const folder = inputs['folder'] ?? '';
    const sums: Sums = Object.assign({}, ...(await Promise.all(Object.entries(inputs).map(sumsOf))));
    const described = async (name: string) => {
      const file = join(folder, name);
      const { size } = await stat(file);
      return { name, size, sha256: sums[name] ?? sha256(await readFile(file)) };
    };
    const devices = await Promise.all(
      options.manifest.devices.map(async (device) => ({
        ...device,
        files: await Promise.all((options.files[device.device] ?? []).map(described)),
      })),
    );
    const own = {
      [manifestFile]: renderManifest({ ...options.manifest, devices }),
      [resolvedProfileFile]: options.profile,
    };
    for (const [name, text] of Object.entries(own)) await writeFile(join(workshop.result, name), text);
    const lines = [
      ...devices.flatMap(({ files }) => files.map((file) => line(file.sha256, file.name))),
      ...Object.entries(own).map(([name, text]) => line(sha256(text), name)),
    ];
    await writeFile(join(workshop.result, sumsFile), lines.join(''));
  },
};

async function sumsOf([name, path]: [string, string]): Promise<Sums> {
  const part = /^sums (.+)$/.exec(name)?.[1];
  return part === undefined ? {} : readSums(path, part);
}

/** For what is small: papers. */
function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function line(sha256: string, name: string): string {
  return `${sha256}  ${name}\n`;
}
