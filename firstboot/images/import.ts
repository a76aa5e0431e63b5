// Brings images of a file into k3s: checked, then laid where k3s imports from, now and at its starts. It watches that
// folder since 1.32 and notes in .cache.json what it has imported.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { Failure } from '../../formats/errors.ts';
import type { K3sPaths } from '../k3s/paths.ts';
import { type ImageArchive, readArchive } from './archive.ts';

export interface Imported {
  readonly names: readonly string[];
  /** The copy that stays on data. */
  readonly file: string;
  readonly state: 'imported' | 'at the next start' | 'not yet';
}

/** How long k3s may take until it says that it has imported, in milliseconds. */
const patience = 300_000;

/** Machines as Go names them. */
const goNames: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' };

/** Checks a file and lays a copy where k3s imports from. `running` is a path that is there while k3s runs. */
export async function importImages(
  file: string,
  paths: Pick<K3sPaths, 'images' | 'data'>,
  k3s: AgentConfig['k3s'],
  running = '/run/k3s/containerd/containerd.sock',
): Promise<Imported> {
  const archive = await readArchive(file);
  refuseForeign(file, archive);
  if (k3s === undefined || k3s.standIn)
    throw new Failure('unsupported', {
      what: 'this device has no k3s that could run images',
      why: k3s === undefined ? 'its image holds none' : 'its image holds the imitation of k3s',
      fix: 'build the image with a real k3s',
    });
  const target = join(paths.images, `imported-${archive.sha256.slice(0, 16)}${archive.ending}`);
  if (!existsSync(target)) await lay(file, archive, target);
  const { names } = archive;
  if (!existsSync(running)) return { names, file: target, state: 'at the next start' };
  const state = (await hasImported(target, join(paths.images, '.cache.json'))) ? 'imported' : 'not yet';
  return { names, file: target, state };
}

function refuseForeign(file: string, { architectures, names }: ImageArchive): void {
  const own = goNames[process.arch];
  const foreign = architectures.find((list) => own === undefined || !list.includes(own));
  if (foreign === undefined) return;
  throw new Failure('input', {
    what: `these images are for another kind of machine: ${names.join(', ')}`,
    where: file,
    why: `they are for ${foreign.join(', ')}, this device is ${own ?? process.arch}`,
    fix: `docker pull --platform linux/${own ?? process.arch} NAME, and save it again`,
  });
}

/** The copy has its name only once it is whole on the disk, and k3s sees only the name. */
async function lay(file: string, { sha256, size, unpacked }: ImageArchive, target: string): Promise<void> {
  const folder = dirname(target);
  // Beside the folder that k3s watches: what is half-made is nothing to be imported.
  const half = join(dirname(folder), `.${basename(target)}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const { bavail, bsize } = await statfs(folder);
    // The copy, what k3s keeps of it, and what it unpacks.
    const needed = size + 2 * unpacked;
    if (bavail * bsize < needed) throw tooFull(folder, needed, bavail * bsize);
    const hash = createHash('sha256');
    const source = createReadStream(file);
    source.on('data', (chunk) => hash.update(chunk));
    await pipeline(source, createWriteStream(half, { mode: 0o600 }));
    if (hash.digest('hex') !== sha256)
      throw new Failure('input', { what: 'the file changed while it was copied', where: file });
    await syncPath(half);
    await rename(half, target);
    await syncPath(folder);
  } catch (error) {
    await rm(half, { force: true }).catch(() => {});
    if (error instanceof Failure) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EACCES' || code === 'EPERM') {
      const fix = `sudo edgekiln-node images import ${file}`;
      throw new Failure('environment', { what: 'only root may import images', where: folder, fix });
    }
    throw new Failure('io', {
      what: 'the images could not be copied to data',
      where: folder,
      why: `${error}`,
    });
  }
}

function tooFull(folder: string, needed: number, free: number): Failure {
  const mebibytes = (bytes: number): number => Math.ceil(bytes / 1024 ** 2);
  return new Failure('environment', {
    what: 'there is no room for these images on data',
    where: folder,
    why: `they need ${mebibytes(needed)} MiB, ${mebibytes(free)} MiB are free`,
    fix: 'remove imported-* files that are not needed any more from there, or reset the device',
  });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** k3s writes the names of files into its cache when it has imported them. */
async function hasImported(target: string, cache: string): Promise<boolean> {
  for (let waited = 0; waited <= patience; waited += 1000) {
    if ((await readFile(cache, 'utf8').catch(() => '')).includes(basename(target))) return true;
    await sleep(1000);
  }
  return false;
}
