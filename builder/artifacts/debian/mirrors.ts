// Where Debian packages come from. The lock is neutral: it names archives, and a mirror is found for each here.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../../formats/errors.ts';

/** Debian's two archives: security updates live in one of their own. */
export const archives = ['debian', 'debian-security'] as const;
export type Archive = (typeof archives)[number];

/** Base URL of each archive, without a slash at the end. */
export type Mirrors = Readonly<Record<Archive, string>>;

/**
 * The mirrors to use: what the profile says, else `EDGEKILN_DEBIAN_MIRROR`, else what the build machine itself uses,
 * if it is Debian. A mirror given as `…/debian` has its security archive beside it, as `…/debian-security`, unless
 * `EDGEKILN_DEBIAN_SECURITY_MIRROR` says otherwise.
 */
export async function findMirrors(profileMirror?: string): Promise<Mirrors> {
  const environment = process.env;
  const given = profileMirror ?? environment['EDGEKILN_DEBIAN_MIRROR'];
  const security = environment['EDGEKILN_DEBIAN_SECURITY_MIRROR'];
  const found = given ? mirrorsBeside(given) : mirrorsOf(await aptSources('/etc/apt'));
  if (found === undefined) {
    throw new Failure('dependency', {
      what: 'no Debian mirror is known',
      why: 'the profile names none (base.debian.mirror), EDGEKILN_DEBIAN_MIRROR is not set, and the sources of this machine name none',
      fix: 'EDGEKILN_DEBIAN_MIRROR=http://MIRROR/debian edgekiln …',
    });
  }
  return security ? { ...found, 'debian-security': withoutSlash(security) } : found;
}

/** The pair of archives for the address of the first one. */
export function mirrorsBeside(mirror: string): Mirrors {
  const debian = withoutSlash(mirror);
  return { debian, 'debian-security': `${debian}-security` };
}

/**
 * The Debian mirrors that apt's sources name, in either format (sources.list(5)); undefined when there is none.
 * An archive is known by the last component of its path, as all mirrors keep it.
 */
export function mirrorsOf(sources: readonly string[]): Mirrors | undefined {
  const found = sources.flatMap(urisOf).map(withoutSlash);
  const debian = found.find((uri) => uri.endsWith('/debian'));
  if (debian === undefined) return undefined;
  const security = found.find((uri) => uri.endsWith('/debian-security'));
  return { debian, 'debian-security': security ?? `${debian}-security` };
}

function urisOf(source: string): string[] {
  const lines = source.split('\n').filter((line) => !/^\s*#/.test(line));
  const oneLine = lines.flatMap((line) => /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)/.exec(line)?.[1] ?? []);
  const deb822 = lines.flatMap((line) => /^URIs:\s*(.+)$/i.exec(line)?.[1]?.trim().split(/\s+/) ?? []);
  return [...oneLine, ...deb822].filter((uri) => /^(https?|file):/.test(uri));
}

async function aptSources(folder: string): Promise<string[]> {
  const parts = await readdir(join(folder, 'sources.list.d')).catch(() => []);
  const files = [
    'sources.list',
    ...parts.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join('sources.list.d', name)),
  ];
  const read = files.map((name) => readFile(join(folder, name), 'utf8').catch(() => ''));
  return Promise.all(read);
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, '');
}
