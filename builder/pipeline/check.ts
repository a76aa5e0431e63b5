// Whether two builds gave the same files, byte for byte, and if not, where they part.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { DiskImage } from '../image/open.ts';
import { placeOf } from '../image/place.ts';
import type { LoadedProfile } from '../profile/load.ts';
import { type BuildOptions, build } from './build.ts';

/** The first thing that is not the same. */
export interface Difference {
  readonly file: string;
  /** Byte in the file; undefined where a file is missing. */
  readonly offset: number | undefined;
  readonly what: string;
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
    const folders: string[] = [];
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
      folders.push(built.folder);
    }
    const [first = '', second = ''] = folders;
    return await compareFolders(first, second, options.signal);
  } finally {
    process.umask(before.umask);
    if (before.zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before.zone;
    await rm(root, { recursive: true, force: true });
  }
}

const surroundings = [
  { name: 'first', umask: 0o022, zone: 'UTC' },
  { name: 'second-one', umask: 0o077, zone: 'Asia/Kathmandu' },
] as const;

/** Compares all files of two output folders but for the records, which hold times. Images come first: they say most. */
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
    const offset = await firstDifference(a, b);
    if (offset !== undefined)
      return { files: names.length, bytes, difference: { file, offset, what: describe(a, b, offset) } };
    bytes += statSync(a).size;
  }
  return { files: names.length, bytes, difference: undefined };
}

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => !/^\.edgekiln-.*\.json$/.test(name));
}

function imagesFirst(a: string, b: string): number {
  const rank = (name: string): number => (name.endsWith('.img') ? 0 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

const piece = 4 * 1024 * 1024;

/** The first byte that differs, or where the shorter file ends. */
async function firstDifference(first: string, second: string): Promise<number | undefined> {
  const [a, b] = [openSync(first, 'r'), openSync(second, 'r')];
  const [left, right] = [Buffer.alloc(piece), Buffer.alloc(piece)];
  try {
    for (let at = 0; ; at += piece) {
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
  let done = 0;
  for (let got = -1; got !== 0 && done < buffer.length; done += got)
    got = readSync(descriptor, buffer, done, buffer.length - done, at + done);
  return buffer.subarray(0, done);
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
