// What runs on a device beside its base: agent, k3s, container images, apps. By far the most bytes that are laid over a
// base, so they are a layer for themselves, which no change of the profile or of a template makes anew.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { appsFolder } from '../../formats/app.ts';
import type { Stage } from '../pipeline/stage.ts';
import { storedFile, symlink } from '../tree/contents.ts';
import type { Entry } from '../tree/entry.ts';
import { writeLayer } from '../tree/layer.ts';

const schema = z.strictObject({
  /** Seconds since 1970: the time of every file. */
  epoch: z.int(),
});

/** `agent` and `k3s` are files, `images` and `apps` the folders of these stages; `programs.tar` in the result goes over the base. */
export const programs: Stage<
  z.output<typeof schema>,
  Readonly<Record<'agent' | 'k3s' | 'images' | 'apps', string>>
> = {
  name: 'programs',
  summary: 'gathers agent, k3s, container images and apps',
  version: 1,
  schema,
  async run({ epoch: mtime }, inputs, workshop) {
    await writeLayer(join(workshop.result, 'programs.tar'), [
      await storedFile('usr/lib/edgekiln/edgekiln-node.mjs', inputs.agent, { mode: 0o644, mtime }),
      await storedFile('usr/local/bin/k3s', inputs.k3s, { mode: 0o755, mtime }),
      // The archives stay in the slot, under their digests; the agent binds them into a folder that k3s may write to.
      ...(await filesOf(inputs.images, '.tar.zst', 'usr/lib/edgekiln/images', { mode: 0o644, mtime })),
      // Manifests may hold secrets: root alone reads them.
      ...(await filesOf(inputs.apps, '.json', appsFolder.slice(1), { mode: 0o600, mtime })),
      ...['kubectl', 'crictl', 'ctr'].map((name) => symlink(`usr/local/bin/${name}`, 'k3s', mtime)),
    ]);
  },
};

/** The files of a stage's folder with this ending, as entries of a folder of the image. */
async function filesOf(
  folder: string,
  ending: string,
  into: string,
  attributes: { readonly mode: number; readonly mtime: number },
): Promise<Entry[]> {
  const names = (await readdir(folder))
    .filter((name) => name.endsWith(ending) && !name.startsWith('.'))
    .sort();
  return Promise.all(names.map((name) => storedFile(`${into}/${name}`, join(folder, name), attributes)));
}
