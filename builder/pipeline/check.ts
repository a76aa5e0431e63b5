// Whether two builds gave the same files, byte for byte, and if not, where they part.
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { stampOffset, stampSize } from '../../formats/stamp.ts';
import { DiskImage } from '../image/open.ts';
import { placeOf } from '../image/place.ts';
import type { LoadedProfile } from '../profile/load.ts';
import { fill } from '../tree/fill.ts';
import { type BuildOptions, build } from './build.ts';
import { resultFolder } from './results.ts';
import type { StageRecord } from './runner.ts';

/** The first thing that is not the same. */
export interface Difference {
  readonly file: string;
  /** Byte in the file; undefined where a file is missing. */
  readonly offset: number | undefined;
  readonly what: string;
  /** The earliest stage whose result differs, its file and the byte there. */
  readonly stage?: string;
}

export interface Comparison {
  readonly files: number;
  readonly bytes: number;
  readonly difference: Difference | undefined;
}

/**
 * Builds a profile twice from nothing but keys and artifacts, in folders of their own, under another umask and time
 * zone the second time, and compares what leaves. Nothing is kept.
 */
export async function checkBuild(loaded: LoadedProfile, options: BuildOptions): Promise<Comparison> {
  const root = await mkdtemp(join(tmpdir(), 'edgekiln-check-'));
  const before = { umask: process.umask(), zone: process.env['TZ'] };
  try {
    const builds: Build[] = [];
    for (const { name, umask, zone } of surroundings) {
      options.say(`${name} build, umask ${umask.toString(8).padStart(3, '0')}, TZ ${zone}`);
      process.umask(umask);
      process.env['TZ'] = zone;
      const place = join(root, name);
      const built = await build(loaded, {
        ...options,
        results: join(place, 'results'),
        output: join(place, 'output'),
      });
      builds.push({ folder: built.folder, results: join(place, 'results'), stages: built.stages });
    }
    const [first, second] = builds;
    if (first === undefined || second === undefined) throw new Error('two builds were made');
    refuseChanged(first, second);
    const compared = await compareFolders(first.folder, second.folder, options.signal);
    if (compared.difference === undefined) return compared;
    const stage = await firstStage(first, second, options.signal);
    return stage === undefined ? compared : { ...compared, difference: { ...compared.difference, stage } };
  } finally {
    process.umask(before.umask);
    if (before.zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before.zone;
    await rm(root, { recursive: true, force: true });
  }
}

interface Build {
  readonly folder: string;
  readonly results: string;
  readonly stages: readonly StageRecord[];
}

/** A file that was edited between the two builds makes a difference that says nothing. */
function refuseChanged(first: Build, second: Build): void {
  const index = first.stages.findIndex((one, at) => one.key !== second.stages[at]?.key);
  const [one, other] = [first.stages[index], second.stages[index]];
  if (one === undefined || other === undefined) return;
  const names = Object.keys(one.inputs).filter((name) => one.inputs[name] !== other.inputs[name]);
  throw new Failure('input', {
    what: 'the inputs changed while they were built from',
    why: `stage ${one.stage}: ${names.length === 0 ? 'its options' : names.join(', ')}`,
    fix: 'leave profile, files and edgekiln itself alone, and run it again',
  });
}

/** The earliest stage whose result in the store is not the same: where to look for the reason. */
async function firstStage(first: Build, second: Build, signal: AbortSignal): Promise<string | undefined> {
  for (const { stage, key } of first.stages) {
    const [a, b] = [first, second].map(({ results }) => join(results, resultFolder(stage, key)));
    if (a === undefined || b === undefined || !existsSync(a) || !existsSync(b)) continue;
    const { difference } = await compareFolders(a, b, signal);
    if (difference !== undefined) return `${stage}: ${difference.file} at byte ${difference.offset ?? 0}`;
  }
  return undefined;
}

const surroundings = [
  { name: 'first', umask: 0o022, zone: 'UTC' },
  { name: 'second', umask: 0o077, zone: 'Asia/Kathmandu' },
] as const;

/** Compares all files of two output folders but for records, which hold times, and locks. Images come first: they say most. */
export async function compareFolders(
  first: string,
  second: string,
  signal: AbortSignal,
): Promise<Comparison> {
  const [left, right] = [await filesIn(first), await filesIn(second)];
  const names = [...new Set([...left, ...right])].sort(imagesFirst);
  let bytes = 0;
  for (const file of names) {
    if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
    const both = left.includes(file) && right.includes(file);
    if (!both) {
      const what = `only the ${left.includes(file) ? 'first' : 'second'} build made it`;
      return { files: names.length, bytes, difference: { file, offset: undefined, what } };
    }
    const [a, b] = [join(first, file), join(second, file)];
    const offset = await tellingDifference(a, b);
    if (offset !== undefined)
      return { files: names.length, bytes, difference: { file, offset, what: describe(a, b, offset) } };
    bytes += statSync(a).size;
  }
  return { files: names.length, bytes, difference: undefined };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !/^\.edgekiln-(.*\.json|lock)$/.test(entry.name))
    .map(({ name }) => name);
}

function imagesFirst(a: string, b: string): number {
  const rank = (name: string): number => (name.endsWith('.img') ? 0 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

const piece = 4 * 1024 * 1024;

/** The first byte that differs; but a stamp differs because it names what comes behind it, which then says more. */
async function tellingDifference(first: string, second: string): Promise<number | undefined> {
  const offset = await firstDifference(first, second);
  const end = stampOffset + stampSize;
  const stamped = first.endsWith('.img') && offset !== undefined && offset >= stampOffset && offset < end;
  return stamped ? ((await firstDifference(first, second, end)) ?? offset) : offset;
}

/** The first byte from `from` on that differs, or where the shorter file ends. */
async function firstDifference(first: string, second: string, from = 0): Promise<number | undefined> {
  const [a, b] = [openSync(first, 'r'), openSync(second, 'r')];
  const [left, right] = [Buffer.alloc(piece), Buffer.alloc(piece)];
  try {
    for (let at = from; ; at += piece) {
      const [x, y] = [read(a, left, at), read(b, right, at)];
      if (!x.equals(y)) {
        const index = x.findIndex((byte, place) => byte !== y[place]);
        return at + (index < 0 ? x.length : index);
      }
      if (x.length < piece) return undefined;
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function read(descriptor: number, buffer: Buffer, at: number): Buffer {
  return buffer.subarray(0, fill(descriptor, buffer, at));
}

function describe(first: string, second: string, offset: number): string {
  const bytes = [first, second].map((file) => {
    const descriptor = openSync(file, 'r');
    try {
      return read(descriptor, Buffer.alloc(16), offset).toString('hex') || 'its end';
    } finally {
      closeSync(descriptor);
    }
  });
  const found = `first ${bytes[0]}, second ${bytes[1]}`;
  return first.endsWith('.img') ? `${placeOf(new DiskImage(first), offset)}: ${found}` : found;
}
