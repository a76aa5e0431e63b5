// From a profile to a lock that covers it, and from a lock to a store that holds it.
import { Failure } from '../../formats/errors.ts';
import { findBoard } from '../boards/boards.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Profile } from '../profile/profile.ts';
import type { Architecture } from './debian/apt.ts';
import { fetchDebs } from './debian/fetch.ts';
import { findMirrors, type Mirrors } from './debian/mirrors.ts';
import { defaultPackages, localesPackage } from './debian/packages.ts';
import { resolveDebian } from './debian/resolve.ts';
import { download } from './download.ts';
import { helmFiles, pinHelm } from './helm.ts';
import type { Named } from './import.ts';
import { k3sFiles, pinK3s } from './k3s.ts';
import { type LocalFile, takeLocal } from './local.ts';
import {
  type DebianRequest,
  type DebianSet,
  debianSetOf,
  type Lock,
  lockFileOf,
  type PinnedFile,
  readLock,
  uncovered,
  uncoveredFiles,
  writeLock,
} from './lock.ts';
import { urlsOf } from './published.ts';
import { isSha256 } from './sha256.ts';
import type { Store } from './store.ts';

interface Talk {
  readonly signal: AbortSignal;
  say(line: string): void;
}

export interface LockOptions extends Talk {
  readonly store: Store;
  /** Take nothing from the network. */
  readonly offline: boolean;
  /** Packages that seem to be there are not read. */
  readonly glance?: boolean;
  /** Bytes done, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

/** Debian's release that bootloaders and busybox are taken from where the base is not Debian's. */
const toolSuite = 'trixie';

/** What a profile wants from Debian: one set for each architecture among its boards. */
function debianRequestsOf(profile: Profile): DebianRequest[] {
  const { base, devices, users, system } = profile;
  const names = new Set(devices.map((device) => device.board));
  const boards = [...names].flatMap((name) => findBoard(name) ?? []);
  const sets = [...new Set(boards.map((board) => board.architecture))].sort();
  return sets.map((architecture: Architecture) => {
    const same = boards.filter((board) => board.architecture === architecture);
    const extract = [
      ...same.flatMap(({ bootloader }) => [bootloader.shim.package, bootloader.grub.package]),
      // One of its locales goes into the image; the others would fill the slot.
      ...(system.locale === 'C.UTF-8' ? [] : [localesPackage]),
    ];
    if (base.kind === 'tarball') {
      return {
        suite: toolSuite,
        architecture,
        install: [],
        extract: sorted(['busybox-static', ...extract]),
      };
    }
    const install = [
      ...defaultPackages,
      ...same.map((board) => board.kernel),
      ...base.packages,
      ...(users.some((user) => user.sudo) ? ['sudo'] : []),
      ...(system.timezone === 'UTC' ? [] : ['tzdata']),
    ];
    return { suite: base.suite, architecture, install: sorted(install), extract: sorted(extract) };
  });
}

/** Names in the lock of the files that a profile wants from outside. */
function fileNamesOf({ k3s, apps }: Profile, requests: readonly DebianRequest[]): string[] {
  const release = k3s.kind === 'release' ? k3s.release : undefined;
  return sorted([
    ...requests.flatMap(({ architecture }) =>
      release === undefined ? [] : Object.values(k3sFiles(release, architecture)),
    ),
    ...(apps.some(({ source }) => source.kind === 'chart') ? Object.values(helmFiles) : []),
  ]);
}

/** Files of this machine that a profile names. */
function localFilesOf({ k3s, base }: Profile): LocalFile[] {
  const k3sFile = k3s.kind === 'file' ? [{ name: 'the k3s binary', ...k3s }] : [];
  const tarball = base.kind === 'tarball' ? [{ name: 'the root tarball', ...base }] : [];
  return [...k3sFile, ...tarball].map(({ name, path, sha256 }) => {
    if (!isSha256(sha256)) throw new Error(`${sha256} went through the schema of the profile as a digest`);
    return { name, path, sha256 };
  });
}

/** What a profile asks for that a lock does not answer, in words. */
function changesTo(lock: Lock, profile: Profile): string[] {
  const requests = debianRequestsOf(profile);
  return [...uncovered(lock, requests), ...uncoveredFiles(lock, fileNamesOf(profile, requests))];
}

/**
 * The lock that a build goes by: that of the file beside the profile, which must cover the profile; made where there
 * is none, which needs a network.
 */
export async function lockForBuild(loaded: LoadedProfile, options: LockOptions): Promise<Lock> {
  const file = lockFileOf(loaded.file);
  const lock = await readLock(file);
  if (lock === undefined) {
    if (options.offline) throw noLock(file, loaded.file);
    options.say(`${file}: there is none yet: made now, keep it with the profile`);
    return (await makeLock(loaded, { ...options, update: false })).lock;
  }
  const changes = changesTo(lock, loaded.profile);
  if (changes.length === 0) return lock;
  throw new Failure('input', {
    what: 'the lock file no longer fits the profile',
    where: file,
    why: changes.join('; '),
    fix: `edgekiln artifacts lock ${loaded.file}`,
  });
}

/** What became of a lock file. */
export interface LockMade {
  readonly file: string;
  readonly lock: Lock;
  /** What was not covered before, in words; empty when the file was left as it was. */
  readonly changes: readonly string[];
}

/**
 * Brings the lock file beside a profile up to what the profile asks for. What fits is left alone, so that images
 * change only when somebody wants them to; with `update` everything is chosen anew.
 */
export async function makeLock(
  loaded: LoadedProfile,
  options: LockOptions & { update: boolean },
): Promise<LockMade> {
  const file = lockFileOf(loaded.file);
  const { profile } = loaded;
  const old = options.update ? undefined : await readLock(file);
  const changes = old === undefined ? ['everything is chosen anew'] : changesTo(old, profile);
  if (old !== undefined && changes.length === 0) return { file, lock: old, changes };
  const requests = debianRequestsOf(profile);
  const debian: DebianSet[] = [];
  for (const request of requests) {
    const kept = old === undefined ? undefined : debianSetOf(old, request);
    const fits = old !== undefined && uncovered(old, [request]).length === 0;
    debian.push(kept !== undefined && fits ? kept : await chooseDebian(request, profile, options));
  }
  const names = fileNamesOf(profile, requests);
  const files =
    old !== undefined && uncoveredFiles(old, names).length === 0
      ? old.files
      : await pinFiles(names, old?.files ?? [], profile, options);
  const lock: Lock = { format: 1, debian, files };
  await writeLock(file, lock);
  return { file, lock, changes };
}

async function chooseDebian(request: DebianRequest, profile: Profile, options: Talk): Promise<DebianSet> {
  const mirrors = await mirrorsOf(profile);
  options.say(`Debian ${request.suite} ${request.architecture}: choosing packages from ${mirrors.debian}`);
  return resolveDebian(request, { mirrors, signal: options.signal });
}

/** Pins the files of these names; those of one publisher are pinned together, and left where the old lock has them all. */
async function pinFiles(
  names: readonly string[],
  old: readonly PinnedFile[],
  profile: Profile,
  options: LockOptions,
): Promise<PinnedFile[]> {
  const { k3s } = profile;
  const architectures = debianRequestsOf(profile).map(({ architecture }) => architecture);
  const kept = (wanted: readonly string[]): PinnedFile[] | undefined => {
    const known = old.filter(({ name }) => wanted.includes(name));
    return known.length === wanted.length ? known : undefined;
  };
  const helm = names.filter((name) => name.startsWith('helm/'));
  const rest = names.filter((name) => !helm.includes(name));
  const pins = [
    ...(kept(rest) ?? (k3s.kind === 'release' ? await pinK3s(k3s.release, architectures, options) : [])),
    ...(kept(helm) ?? (await pinHelm(options))),
  ];
  return pins.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Everything that a build of a profile takes from the store. */
export function namedBy(lock: Lock, { profile }: LoadedProfile): Named[] {
  const debs = lock.debian.flatMap((set) => [...set.install, ...set.extract]);
  return [
    ...debs.map(({ name, version, sha256, size }) => ({ name: `${name} ${version}`, sha256, size })),
    ...lock.files,
    ...localFilesOf(profile),
  ];
}

/** Brings everything a lock names, and the files of this machine that the profile names, into the store. */
export async function fetchLocked(lock: Lock, loaded: LoadedProfile, options: LockOptions): Promise<void> {
  const { profile } = loaded;
  for (const set of lock.debian) await fetchDebs(set, { ...options, mirrors: () => mirrorsOf(profile) });
  for (const file of lock.files) await download({ ...file, urls: urlsOf(file.name) }, options);
  for (const file of localFilesOf(profile)) await takeLocal(file, options.store);
}

function mirrorsOf({ base }: Profile): Promise<Mirrors> {
  return findMirrors(base.kind === 'debian' ? base.mirror : undefined);
}

function noLock(where: string, profile: string): Failure {
  return new Failure('dependency', {
    what: 'there is no lock file, and none can be made offline',
    where,
    fix: `edgekiln artifacts lock ${profile}, where there is a network`,
  });
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
