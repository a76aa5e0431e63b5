// The base from a root filesystem that was made elsewhere.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { decompress } from '../artifacts/compression.ts';
import { sha256Schema } from '../artifacts/sha256.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  /** Of the archive as it is, compressed or not. */
  sha256: sha256Schema,
  /** Bytes that it may unpack to: what the slot could hold, headers included. */
  limit: z.int().positive(),
});

export type TarballOptions = z.output<typeof schema>;

/** Makes `base.tar` of the archive whose path is the input `tarball`: plain, gzip, xz or zstd. */
export const tarball: Stage<TarballOptions, { readonly tarball: string }> = {
  name: 'tarball',
  summary: 'unpacks a root tarball to one plain tar file',
  version: 2,
  schema,
  async run({ limit }, inputs, workshop) {
    const { size } = await stat(inputs.tarball);
    const extent = { file: inputs.tarball, offset: 0, length: size };
    await decompress(extent, join(workshop.result, 'base.tar'), { limit, signal: workshop.signal });
  },
};
