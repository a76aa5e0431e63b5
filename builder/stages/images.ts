// The container images a site needs, and only these: the gate of what is missing, and archives cut down to the rest.
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import { decompress } from '../artifacts/compression.ts';
import { architectures } from '../artifacts/debian/apt.ts';
import { type ImageArchive, readImageArchive } from '../artifacts/images/archive.ts';
import { matchImages } from '../artifacts/images/gate.ts';
import { type Chosen, trimArchive } from '../artifacts/images/trim.ts';
import { imagesOfK3s } from '../artifacts/images/wanted.ts';
import { digestOf } from '../artifacts/store.ts';
import type { Stage, Workshop } from '../pipeline/stage.ts';

/** What an archive may unpack to, in bytes. */
const largest = 32 * 1024 ** 3;

const schema = z.strictObject({
  architecture: z.enum(architectures),
  /** Names of inputs, in the order in which an image is looked for. */
  archives: z.array(z.string()),
  /** Full names of images, and who wants each. */
  wanted: z.array(z.strictObject({ name: z.string(), by: z.string() })),
  /** Archives of k3s of which every named image is wanted, but for those of add-ons that are disabled. */
  whole: z.array(z.string()),
  disabled: z.array(z.string()),
});

export type ImagesOptions = z.output<typeof schema>;

/** One archive of the result, as `images.json` lists it. */
interface Listed {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  readonly images: readonly string[];
}

/**
 * The inputs are archives by the names of `archives`: plain, gzip, xz or zstd. The result holds `DIGEST.tar.zst` for
 * each that has something to give, named by what it unpacks to, and `images.json`. An image that is missing is an
 * input failure that names it.
 */
export const images: Stage<ImagesOptions, Readonly<Record<string, string>>> = {
  name: 'images',
  summary: 'checks that every container image is there, and leaves out what is not needed',
  version: 2,
  schema,
  async run(options, inputs, workshop) {
    const archives: ImageArchive[] = [];
    for (const [index, name] of options.archives.entries()) {
      workshop.progress(index, options.archives.length);
      const file = inputs[name];
      if (file === undefined) throw new Error(`there is no input ${name}`);
      archives.push(await open(file, name, join(workshop.result, `archive-${index}`), workshop));
    }
    const own = archives
      .filter((_, index) => options.whole.includes(options.archives[index] ?? ''))
      .flatMap((archive) => archive.images.flatMap(({ names }) => names));
    const wanted = [...options.wanted, ...imagesOfK3s(own.join('\n'), 'of a file', options.disabled)];
    const { kept, problems } = matchImages(wanted, archives, options.architecture);
    if (problems.length > 0) throw new Failure('input', problems);
    const listed: Listed[] = [];
    for (const [index, { archive, chosen }] of kept.entries()) {
      const name = options.archives[index] ?? '';
      if (chosen.length > 0) listed.push(await named(name, () => cut(archive, chosen, workshop)));
      await rm(archive.file);
    }
    await writeFile(join(workshop.result, 'images.json'), `${JSON.stringify(listed, undefined, 2)}\n`);
  },
};

/** Unpacks an archive and reads what is in it. */
function open(file: string, name: string, plain: string, { signal }: Workshop): Promise<ImageArchive> {
  return named(name, async () => {
    const { size } = await stat(file);
    await decompress({ file, offset: 0, length: size }, plain, { limit: largest, signal });
    return readImageArchive(plain);
  });
}

/** In problems, an archive goes by the name that people know. */
async function named<Made>(name: string, work: () => Promise<Made>): Promise<Made> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure) || error.kind !== 'input') throw error;
    const fix = 'make it anew: docker save -o FILE.tar NAME…';
    const problems = error.problems.map((problem) => ({ fix, ...problem, where: name }));
    throw new Failure(error.kind, problems, error);
  }
}

async function cut(archive: ImageArchive, chosen: readonly Chosen[], workshop: Workshop): Promise<Listed> {
  const { result, signal } = workshop;
  const plain = join(result, 'cut');
  await trimArchive(archive, chosen, plain, signal);
  const { sha256 } = await digestOf(plain);
  // One thread: more of them cut the stream at other places.
  const packed = `${plain}.zst`;
  await run('zstd', ['-q', '-10', '--single-thread', '--rm', '-o', packed, plain], { cancelSignal: signal });
  const file = `${sha256}.tar.zst`;
  await rename(packed, join(result, file));
  const { size } = await stat(join(result, file));
  return { file, size, images: chosen.flatMap(({ names }) => names).sort() };
}
