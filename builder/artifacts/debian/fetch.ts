// Brings the .debs of a lock into the store, through apt's own downloader: it knows proxies, retries and resumes.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, type Problem } from '../../../formats/errors.ts';
import type { Deb, DebianSet } from '../lock.ts';
import { digestOf, type Store, unwritable } from '../store.ts';
import { Apt } from './apt.ts';
import type { Mirrors } from './mirrors.ts';

export interface FetchOptions {
  readonly store: Store;
  /** Asked for only when something is missing. */
  readonly mirrors: () => Promise<Mirrors>;
  /** Take nothing from the network. */
  readonly offline?: boolean;
  /** What is there with the right size is taken as whole: whoever uses it reads it. */
  readonly glance?: boolean;
  readonly signal?: AbortSignal;
  /** Bytes done, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

/** How many files are asked of apt at a time: what is had so far survives an interruption. */
const batch = 40;

/** Makes sure that every .deb of a set is in the store. */
export async function fetchDebs(set: DebianSet, options: FetchOptions): Promise<void> {
  const missing = await missingOf([...set.install, ...set.extract], options);
  if (missing.length === 0) return;
  if (options.offline) throw notInStore(missing, options.store);
  const mirrors = await options.mirrors();
  const folder = await mkdtemp(join(await options.store.incoming(), 'debs-'));
  const total = missing.reduce((sum, deb) => sum + deb.size, 0);
  try {
    await Apt.with(
      set.architecture,
      () => '',
      async (apt) => {
        let done = 0;
        for (let at = 0; at < missing.length; at += batch) {
          options.progress?.(done, total);
          const debs = missing.slice(at, at + batch);
          await fetchBatch(debs, apt, folder, mirrors, options);
          done += debs.reduce((sum, deb) => sum + deb.size, 0);
        }
        options.progress?.(done, total);
      },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fetchBatch(
  debs: readonly Deb[],
  apt: Apt,
  folder: string,
  mirrors: Mirrors,
  options: FetchOptions,
): Promise<void> {
  const args = debs.flatMap((deb) => [urlOf(deb, mirrors), join(folder, deb.sha256), `SHA256:${deb.sha256}`]);
  const said = await apt.run('apt-helper', ['download-file', ...args], { signal: options.signal });
  const lost: Deb[] = [];
  for (const deb of debs) if (!(await takeIn(join(folder, deb.sha256), deb, options.store))) lost.push(deb);
  if (lost.length === 0) return;
  const full = said.errors.find((line) => /No space left|Disk quota/.test(line));
  if (full !== undefined) throw unwritable(options.store.root, new Error(full.trim()));
  const problems = lost.map((deb) => lostProblem(deb, urlOf(deb, mirrors), said.errors));
  throw new Failure('dependency', problems);
}

/** Whether apt has brought a file whole; it leaves what it could not finish under the same name. */
async function takeIn(file: string, deb: Deb, store: Store): Promise<boolean> {
  if (!existsSync(file)) return false;
  const pin = await digestOf(file);
  if (pin.sha256 !== deb.sha256) return false;
  await store.place(file, pin);
  return true;
}

function lostProblem(deb: Deb, url: string, errors: readonly string[]): Problem {
  const why = errors
    .find((line) => line.startsWith(`Failed to fetch ${url} `))
    ?.slice(`Failed to fetch ${url} `.length);
  const gone = why !== undefined && /^\s*404\b/.test(why);
  return {
    what: `${deb.name} ${deb.version} cannot be had`,
    where: url,
    why: gone
      ? 'the mirror no longer has this version'
      : (why?.trim() ?? (errors.join('; ') || 'apt gave no reason')),
    fix: gone
      ? 'take today’s versions: edgekiln artifacts lock --update PROFILE; or bring the file: edgekiln artifacts import PROFILE DIR'
      : 'check the mirror and the network, then run it again: what has come is kept',
  };
}

function notInStore(missing: readonly Deb[], store: Store): Failure {
  const names = missing.slice(0, 5).map((deb) => `${deb.name} ${deb.version}`);
  const more = missing.length > names.length ? `, and ${missing.length - names.length} more` : '';
  return new Failure('dependency', {
    what: `${missing.length} Debian packages of the lock are not in the store`,
    where: store.root,
    why: `this run is offline; missing: ${names.join(', ')}${more}`,
    fix: 'edgekiln artifacts fetch PROFILE where there is a network, or edgekiln artifacts import PROFILE DIR',
  });
}

async function missingOf(debs: readonly Deb[], { store, glance = false }: FetchOptions): Promise<Deb[]> {
  const missing: Deb[] = [];
  for (const deb of debs) {
    const there = glance
      ? await store.seems(deb.sha256, deb.size)
      : (await store.find(deb.sha256)) !== undefined;
    if (!there) missing.push(deb);
  }
  return missing;
}

/** Debian's paths keep `+` and `~`, which some servers take for other characters: they are percent-encoded as apt does. */
function urlOf(deb: Deb, mirrors: Mirrors): string {
  const path = deb.path
    .split('/')
    .map((part) => encodeURIComponent(part).replace(/~/g, '%7e'))
    .join('/');
  return `${mirrors[deb.archive]}/${path}`;
}
