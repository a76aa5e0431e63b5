// edgekiln diff A B
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { compareImages, type ImageChange, type PathChange } from '../image/compare.ts';
import { DiskImage, nothingAt } from '../image/open.ts';
import { compareManifests, type ManifestChange, type VersionChange } from '../pipeline/difference.ts';
import { type Manifest, manifestFile, parseManifest } from '../pipeline/manifest.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln diff old/shop output/shop', 'edgekiln diff old.img new.img --exit-code'],
  register(command, act) {
    command
      .argument('<before>', "a site's output folder, or an image")
      .argument('<after>', 'another one')
      .option('--exit-code', 'end with 1 where they differ')
      .action(
        act(async (_session, before: string, after: string, given: { exitCode?: boolean }) => {
          const [a, b] = [await look(before), await look(after)];
          const manifest =
            a.manifest === undefined || b.manifest === undefined
              ? undefined
              : compareManifests(a.manifest, b.manifest);
          const slots = pairs(a, b).map(([board, one, other]) => ({
            board,
            ...compareImages(new DiskImage(one), new DiskImage(other)),
          }));
          const text = [...manifestLines(manifest), ...slots.flatMap(imageLines)];
          const differ = text.length > 0;
          return {
            text: differ ? text.join('\n') : 'no difference',
            data: { version: 1, differ, manifest, slots },
            ...(differ && given.exitCode ? { exit: 1 } : {}),
          };
        }),
      );
  },
};

/** A build as it was named: a folder with a manifest, or one image. */
interface Side {
  readonly manifest: Manifest | undefined;
  /** One image a board, by the board's name; '' for an image named by itself. */
  readonly images: ReadonlyMap<string, string>;
}

async function look(path: string): Promise<Side> {
  const state = await stat(path).catch(() => undefined);
  if (state === undefined) throw nothingAt(path);
  if (!state.isDirectory()) return { manifest: undefined, images: new Map([['', path]]) };
  const file = join(path, manifestFile);
  if (!existsSync(file)) {
    throw new Failure('input', {
      what: `there is no ${manifestFile} here`,
      where: path,
      fix: 'name the output folder of one site, or an image',
    });
  }
  const manifest = parseManifest(await readFile(file, 'utf8'), file);
  const images = new Map<string, string>();
  // The images of one board differ in their stamps only.
  for (const { board, files } of manifest.devices) {
    const image = files.map(({ name }) => join(path, name)).find((name) => name.endsWith('.img'));
    if (image !== undefined && existsSync(image) && !images.has(board)) images.set(board, image);
  }
  return { manifest, images };
}

/** Images to compare: by board, or the only one of each side. */
function pairs(a: Side, b: Side): [board: string, one: string, other: string][] {
  const [first, second] = [[...a.images], [...b.images]];
  if (a.images.has('') || b.images.has('')) {
    const [one, other] = [first[0], second[0]];
    return one === undefined || other === undefined ? [] : [[one[0] || other[0], one[1], other[1]]];
  }
  return first.flatMap(([board, one]) => {
    const other = b.images.get(board);
    return other === undefined ? [] : [[board, one, other] as [string, string, string]];
  });
}

function manifestLines(change: ManifestChange | undefined): string[] {
  if (change === undefined) return [];
  const version = (kind: string) => (one: VersionChange) =>
    `${kind} ${one.name}: ${one.before ?? 'none'} → ${one.after ?? 'none'}`;
  return [
    ...change.stages.map(({ board, stage, why }) => `stage ${stage} of ${board}: ${why.join(', ')}`),
    ...change.packages.map(version('package')),
    ...change.artifacts.map(version('artifact')),
    ...change.tools.map(version('tool')),
    ...change.sources.map(version('')).map((line) => line.trim()),
    ...change.files.map(version('file')),
  ];
}

function imageLines({ board, facts, esp, files }: ImageChange & { readonly board: string }): string[] {
  const of = board === '' ? '' : ` of ${board}`;
  const lines = (changes: readonly PathChange[], before: string) =>
    changes.map(({ path, change, what }) => `${change.padEnd(7)} ${before}/${path}: ${what.join(', ')}`);
  return [...facts.map((fact) => `image${of}: ${fact}`), ...lines(esp, 'esp:'), ...lines(files, '')];
}
