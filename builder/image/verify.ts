// Whether files are what a build made: digests, block maps, stamps, filesystems. Every problem is named.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure, type Problem } from '../../formats/errors.ts';
import { parseBlockMap } from '../pack/bmap.ts';
import type { Threads } from '../pack/threads.ts';
import { sumsFile } from '../pipeline/manifest.ts';
import { DiskImage } from './open.ts';
import { placeOf } from './place.ts';
import { withUnpacked } from './unpack.ts';

export interface Verified {
  /** What was looked at and found good, one line each. */
  readonly good: readonly string[];
  readonly problems: readonly Problem[];
}

/** Verifies all that `SHA256SUMS` of a folder names, and each image in depth. */
export async function verifyFolder(folder: string, threads: Threads): Promise<Verified> {
  const file = join(folder, sumsFile);
  if (!existsSync(file)) {
    throw new Failure('input', {
      what: `there is no ${sumsFile} here`,
      where: folder,
      why: 'the build was interrupted, or the folder is not the one of a site',
      fix: 'build again, or name an image',
    });
  }
  const good: string[] = [];
  const problems: Problem[] = [];
  const names: string[] = [];
  for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const name = /^[0-9a-f]{64} [ *]([^/]+)$/.exec(line)?.[1];
    if (name === undefined)
      problems.push({ what: `${sumsFile} has a line that is none`, where: file, why: line });
    else names.push(name);
  }
  if (names.length === 0)
    problems.push({
      what: `${sumsFile} names no file`,
      where: file,
      why: 'it is empty or damaged',
      fix: 'build again',
    });
  const parts = await Promise.all(names.map((name) => verifyDigest(join(folder, name), threads)));
  for (const name of names.filter((one) => one.endsWith('.img') && existsSync(join(folder, one))))
    parts.push(await verifyImage(join(folder, name), threads));
  for (const part of parts) {
    good.push(...part.good);
    problems.push(...part.problems);
  }
  return { good, problems };
}

/** Verifies one file: by the digest beside it where there is one, and an image in depth. */
export async function verifyFile(file: string, threads: Threads, signal: AbortSignal): Promise<Verified> {
  const listed = await verifyDigest(file, threads);
  const paper = /\.(bmap|json|yaml)$/.test(file);
  const depth = paper
    ? nothing
    : await withUnpacked(file, signal, (image) => verifyImage(image, threads, file));
  const both = { good: [...listed.good, ...depth.good], problems: [...listed.problems, ...depth.problems] };
  if (both.good.length === 0 && both.problems.length === 0) {
    throw new Failure('input', {
      what: 'there is nothing to verify this by',
      where: file,
      why: `no ${sumsFile} beside it names it`,
    });
  }
  return both;
}

const nothing: Verified = { good: [], problems: [] };

async function verifyDigest(file: string, threads: Threads): Promise<Verified> {
  const expected = listedDigest(file);
  if (expected === undefined) return nothing;
  const name = basename(file);
  const why = `${sumsFile} names it`;
  const state = statSync(file, { throwIfNoEntry: false });
  if (state === undefined) return bad({ what: `${name} is missing`, where: file, why });
  if (!state.isFile()) return bad({ what: `${name} is not a file`, where: file, why });
  const found = await threads.digest(file);
  if (found === expected) return { good: [`${name}: SHA-256 as listed`], problems: [] };
  return bad({
    what: `${name} is not what was built`,
    where: file,
    why: `SHA-256 is ${found}, listed is ${expected}`,
  });
}

function listedDigest(file: string): string | undefined {
  const sums = join(dirname(file), sumsFile);
  if (!existsSync(sums)) return undefined;
  const line = readFileSync(sums, 'utf8')
    .split('\n')
    .find((one) => one.slice(66) === basename(file));
  return line?.slice(0, 64);
}

/** `file` is what people call the image, where it came out of a packed one. Block map, partition table, stamp, the digest of slot A, and its filesystem from end to end. */
async function verifyImage(plain: string, threads: Threads, file = plain): Promise<Verified> {
  const name = basename(file);
  const good: string[] = [];
  const problems: Problem[] = [];
  const attempt = async (what: string, work: () => Promise<Problem[]>): Promise<void> => {
    const found = await work().catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      return error.problems.map(({ where = file, ...problem }) => {
        return { ...problem, where: where === plain ? file : where };
      });
    });
    if (found.length === 0) good.push(`${name}: ${what}`);
    problems.push(...found);
  };
  let image: DiskImage | undefined;
  await attempt('partition table is whole', async () => {
    image = new DiskImage(plain, file);
    if (image.table.from === 'first') return [];
    return [{ what: 'the partition table is damaged; its backup at the end is whole', where: file }];
  });
  if (image === undefined) return { good, problems };
  const opened: DiskImage = image;
  if (existsSync(`${file}.bmap`))
    await attempt('every block is as its block map says', () => verifyBlocks(opened, threads));
  const stamp = opened.stamp();
  if (!stamp.valid) problems.push({ what: 'the stamp cannot be trusted', where: file, why: stamp.why });
  else {
    const { device, site, slot } = stamp.stamp;
    good.push(`${name}: stamp of ${device} at ${site}, signed by the site's key in slot A`);
    await attempt('slot A is what the stamp names', async () => {
      const { start } = opened.partition('slot-a');
      const found = await digestOfRanges(opened, start, slot.mapped);
      if (found === slot.digest) return [];
      return [
        {
          what: 'slot A is not what the stamp names',
          where: file,
          why: `SHA-256 is ${found}, stamped is ${slot.digest}`,
        },
      ];
    });
  }
  await attempt("slot A's filesystem can be read from end to end", async () => {
    const reader = opened.slot('a');
    try {
      // Going through all entries reads every directory, inode and extent.
      for (const entry of reader.entries()) void entry;
    } finally {
      reader.close();
    }
    return [];
  });
  return { good, problems };
}

async function verifyBlocks(image: DiskImage, threads: Threads): Promise<Problem[]> {
  const where = `${image.file}.bmap`;
  const map = parseBlockMap(readFileSync(where, 'utf8'));
  if (typeof map === 'string') return [{ what: 'the block map is damaged', where, why: map }];
  if (map.size !== image.size)
    return [
      { what: `the image has ${image.size} bytes`, where: image.file, why: `its block map says ${map.size}` },
    ];
  const digests = await threads.runs(image.file, map.runs);
  return map.runs.flatMap(({ start, end, sha256 }, index) =>
    digests[index] === sha256
      ? []
      : [
          {
            what: `bytes ${start} to ${end - 1} are not what was built (${placeOf(image, start)})`,
            where: image.file,
          },
        ],
  );
}

async function digestOfRanges(
  image: DiskImage,
  base: number,
  mapped: readonly (readonly [start: number, end: number])[],
): Promise<string> {
  const hash = createHash('sha256');
  for (const [start, end] of mapped)
    for await (const chunk of createReadStream(image.file, {
      start: base + start,
      end: base + end - 1,
      highWaterMark: 1 << 20,
    }))
      hash.update(chunk);
  return hash.digest('hex');
}

function bad(problem: Problem): Verified {
  return { good: [], problems: [problem] };
}
