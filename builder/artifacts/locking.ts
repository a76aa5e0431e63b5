// From a profile to a lock that covers it, and from a lock to a store that holds it.
import { findBoard } from '../boards/boards.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Profile } from '../profile/profile.ts';
import type { Architecture } from './debian/apt.ts';
import { fetchDebs } from './debian/fetch.ts';
import { findMirrors } from './debian/mirrors.ts';
import { defaultPackages } from './debian/packages.ts';
import { resolveDebian } from './debian/resolve.ts';
import {
  type DebianRequest,
  debianSetOf,
  type Lock,
  lockFileOf,
  readLock,
  refuseUncovered,
  uncovered,
  writeLock,
} from './lock.ts';
import type { Store } from './store.ts';

export interface Talk {
  readonly signal: AbortSignal;
  say(line: string): void;
}

/** Debian's release that bootloaders and busybox are taken from where the base is not Debian's. */
const toolSuite = 'trixie';

/** What a profile wants from Debian: one set for each architecture among its boards. */
export function debianRequestsOf(profile: Profile): DebianRequest[] {
  const { base, devices, users, system } = profile;
  const names = new Set(devices.map((device) => device.board));
  const boards = [...names].flatMap((name) => findBoard(name) ?? []);
  const sets = [...new Set(boards.map((board) => board.architecture))].sort();
  return sets.map((architecture: Architecture) => {
    const same = boards.filter((board) => board.architecture === architecture);
    const bootloaders = same.flatMap(({ bootloader }) => [bootloader.shim.package, bootloader.grub.package]);
    if (base.kind === 'tarball') {
      return {
        suite: toolSuite,
        architecture,
        install: [],
        extract: sorted(['busybox-static', ...bootloaders]),
      };
    }
    const install = [
      ...defaultPackages,
      ...same.map((board) => board.kernel),
      ...base.packages,
      ...(users.some((user) => user.sudo) ? ['sudo'] : []),
      ...(system.timezone === 'UTC' ? [] : ['tzdata']),
    ];
    return { suite: base.suite, architecture, install: sorted(install), extract: sorted(bootloaders) };
  });
}

/**
 * The lock that a build goes by: that of the file beside the profile, which must cover the profile; made where there
 * is none. Offline, none is made.
 */
export async function lockForBuild(loaded: LoadedProfile, talk: Talk): Promise<Lock> {
  const file = lockFileOf(loaded.file);
  const lock = await readLock(file);
  if (lock !== undefined) {
    refuseUncovered(lock, debianRequestsOf(loaded.profile), { lock: file, profile: loaded.file });
    return lock;
  }
  talk.say(`${file}: there is none yet: made now, keep it with the profile`);
  return (await makeLock(loaded, { update: false, ...talk })).lock;
}

/** What became of a lock file. */
export interface LockMade {
  readonly file: string;
  readonly lock: Lock;
  /** What was not covered before, in words; empty when the file was left as it was. */
  readonly changes: readonly string[];
}

/**
 * Brings the lock file beside a profile up to what the profile asks for. Sets that fit are left alone, so that images
 * change only when somebody wants them to; with `update` everything is chosen anew.
 */
export async function makeLock(
  loaded: LoadedProfile,
  options: Talk & { update: boolean },
): Promise<LockMade> {
  const file = lockFileOf(loaded.file);
  const { profile } = loaded;
  const old = options.update ? undefined : await readLock(file);
  const requests = debianRequestsOf(profile);
  const changes = old === undefined ? ['everything is chosen anew'] : uncovered(old, requests);
  if (old !== undefined && changes.length === 0) return { file, lock: old, changes };
  const profileMirror = profile.base.kind === 'debian' ? profile.base.mirror : undefined;
  const mirrors = await findMirrors(profileMirror);
  const debian = [];
  for (const request of requests) {
    const kept = old === undefined ? undefined : debianSetOf(old, request);
    if (kept !== undefined && old !== undefined && uncovered(old, [request]).length === 0) {
      debian.push(kept);
      continue;
    }
    options.say(`Debian ${request.suite} ${request.architecture}: choosing packages from ${mirrors.debian}`);
    debian.push(await resolveDebian(request, { mirrors, signal: options.signal }));
  }
  const lock: Lock = { format: 1, debian, files: old?.files ?? [] };
  await writeLock(file, lock);
  return { file, lock, changes };
}

/** Brings everything a lock names into the store. */
export async function fetchLocked(
  lock: Lock,
  loaded: LoadedProfile,
  options: Talk & { store: Store; offline: boolean; progress?: (done: number, total: number) => void },
): Promise<void> {
  const { base } = loaded.profile;
  const mirrors = () => findMirrors(base.kind === 'debian' ? base.mirror : undefined);
  for (const set of lock.debian) await fetchDebs(set, { ...options, mirrors });
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
