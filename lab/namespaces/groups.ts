// Control groups of a host: one below the keeper's own in every hierarchy there is, of version 1, 2 or both.
import {
  type Dirent,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One hierarchy, as it is mounted on this machine. */
export interface Hierarchy {
  readonly type: 'cgroup' | 'cgroup2';
  readonly mountPoint: string;
  /** For mounting it again: controllers or name of version 1. */
  readonly options: string;
  /** The folder of the group below which hosts get theirs: our own, in version 2 the uppermost, which has controllers to give. */
  readonly parent: string;
}

/** Flags of a mount that a second mount of the same hierarchy need not repeat. */
const flags = /^(rw|ro|xattr|clone_children|nsdelegate|memory_recursiveprot|release_agent=.*)$/;

/** The hierarchies, from the texts of /proc/self/mountinfo and /proc/self/cgroup. */
export function hierarchiesIn(mounts: string, groups: string): readonly Hierarchy[] {
  const found = new Map<string, Hierarchy>();
  for (const line of mounts.split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    const mountPoint = left.split(' ')[4];
    const [type, , superOptions = ''] = right.split(' ');
    if (mountPoint === undefined || (type !== 'cgroup' && type !== 'cgroup2')) continue;
    const words = superOptions.split(',').filter((word) => !flags.test(word));
    const own = groupOf(groups, type === 'cgroup2' ? [] : words);
    if (own === undefined) continue;
    const options = type === 'cgroup2' ? 'rw' : [...(words.some(isName) ? ['none'] : []), ...words].join(',');
    const parent = type === 'cgroup2' ? mountPoint : join(mountPoint, own);
    found.set(options, { type, mountPoint, options, parent });
  }
  return [...found.values()];
}

/** The path of the group in a hierarchy: lines of `ID:controllers:path`, without controllers for version 2. */
function groupOf(groups: string, controllers: readonly string[]): string | undefined {
  for (const line of groups.split('\n')) {
    const [, names = '', ...path] = line.split(':');
    const same = controllers.length === 0 ? names === '' : names.split(',').includes(controllers[0] ?? '');
    if (same && path.length > 0) return path.join(':');
  }
  return undefined;
}

function isName(word: string): boolean {
  return word.startsWith('name=');
}

export function hierarchies(): readonly Hierarchy[] {
  return hierarchiesIn(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  );
}

/** Makes a host's groups and gives their folders. */
export function makeGroups(all: readonly Hierarchy[], site: string, host: string): readonly string[] {
  return all.map(({ type, parent }) => {
    const group = join(parent, `${prefixOf(site)}${host}`);
    if (type === 'cgroup2') giveControllers(parent);
    mkdirSync(group, { recursive: true });
    // A cpuset of version 1 takes nobody before it has processors and memory.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const own = join(group, file);
      if (type === 'cgroup' && existsSync(own)) writeFileSync(own, readFileSync(join(parent, file)));
    }
    return group;
  });
}

/** No name of a site or host holds the sign between them. */
function prefixOf(site: string): string {
  return `edgekiln@${site}@`;
}

function giveControllers(parent: string): void {
  const names = readFileSync(join(parent, 'cgroup.controllers'), 'utf8').trim().split(' ').filter(Boolean);
  for (const name of names) {
    try {
      writeFileSync(join(parent, 'cgroup.subtree_control'), `+${name}`);
    } catch {
      // Not ours to give; a k3s that needs it says so.
    }
  }
}

/** Removes groups with all below them. Their processes are gone, but the kernel may take a moment to see it. */
export async function removeGroups(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    for (let tries = 0; tries < 50 && !removed(group); tries++) await sleep(100);
  }
}

function removed(group: string): boolean {
  if (!existsSync(group)) return true;
  try {
    for (const folder of [group, ...foldersBelow(group)].reverse()) rmdirSync(folder);
    return true;
  } catch {
    return false; // somebody is still in it
  }
}

/** Groups of a lab that is gone, wherever its keeper was: what a crash left. */
export function groupsOf(site: string): readonly string[] {
  const ours = (folder: string) => basename(folder).startsWith(prefixOf(site));
  return hierarchies().flatMap(({ mountPoint }) => foldersBelow(mountPoint).filter(ours));
}

/** Each folder behind the one it is in. Groups of others may go while they are looked at, and come again. */
function foldersBelow(folder: string): readonly string[] {
  let entries: readonly Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENODEV'))
      return [];
    throw error;
  }
  const names = entries.filter((entry) => entry.isDirectory());
  return names.flatMap(({ name }) => [join(folder, name), ...foldersBelow(join(folder, name))]);
}
