// Chooses the packages of a base: apt decides, from indexes whose signatures it has verified.
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, type Problem } from '../../../formats/errors.ts';
import type { Deb, DebianRequest, DebianSet } from '../lock.ts';
import { isSha256 } from '../sha256.ts';
import { digestOf } from '../store.ts';
import { Apt, type AptOptions, type Said } from './apt.ts';
import { initrdPackage } from './initrd-package.ts';
import { type Archive, archives, type Mirrors } from './mirrors.ts';

/** Debian's own keys, from the package debian-archive-keyring. A private archive has its own: EDGEKILN_DEBIAN_KEYRING. */
const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface ResolveOptions extends AptOptions {
  readonly mirrors: Mirrors;
  /** Public keys that may sign releases: a binary OpenPGP keyring. */
  readonly keyring?: string;
}

/**
 * To install: Debian's essential packages, the requested ones and all they depend on, without recommendations; none
 * when none is requested. To extract: the requested ones alone. The same indexes give the same set.
 */
export async function resolveDebian(request: DebianRequest, options: ResolveOptions): Promise<DebianSet> {
  const keyring = options.keyring ?? (process.env['EDGEKILN_DEBIAN_KEYRING'] || debianKeyring);
  if (!existsSync(keyring)) throw noKeyring(keyring);
  const provider = await initrdPackage();
  const sources = (folder: string) =>
    sourcesOf(request.suite, options.mirrors, keyring, join(folder, 'local'));
  return Apt.with(request.architecture, sources, async (apt) => {
    await mkdir(join(apt.folder, 'local'));
    await writeFile(join(apt.folder, 'local', provider.file), provider.bytes);
    await writeFile(join(apt.folder, 'local', 'Packages'), provider.paragraph);
    const updated = await apt.run('apt-get', ['update', '--error-on=any', '-q'], options);
    if (!updated.ok) throw updateFailure(updated, request.suite, options.mirrors);

    const install = [...new Set(request.install)].sort();
    const extract = [...new Set(request.extract)].sort();
    const list = async (verb: readonly string[], names: readonly string[]): Promise<Deb[]> => {
      const said = await apt.run('apt-get', [...verb, '--print-uris', '-qq', '-y', ...names], options);
      if (!said.ok) {
        const explained = await apt.run('apt-get', [...verb, '--simulate', ...names], options);
        throw packageFailure(said.errors, explained.stdout, request);
      }
      return debsOf(said.stdout, options.mirrors);
    };
    return {
      suite: request.suite,
      architecture: request.architecture,
      requested: { install, extract },
      releases: await releasesOf(join(apt.folder, 'lists')),
      install: install.length === 0 ? [] : await list(['install'], ['?essential', provider.name, ...install]),
      extract: extract.length === 0 ? [] : await list(['download'], extract),
    };
  });
}

/** The suites of a release in each archive. */
function suitesOf(suite: string): Readonly<Record<Archive, readonly string[]>> {
  return { debian: [suite, `${suite}-updates`], 'debian-security': [`${suite}-security`] };
}

/** The packages that `apt-get --print-uris` lists, ordered by name: `'URI' name_version_arch.deb SIZE SHA256:HEX`. */
function debsOf(printed: string, mirrors: Mirrors): Deb[] {
  const debs = printed.split('\n').flatMap((line) => {
    const [, uri, file, size, sha256] = /^'([^']+)' (\S+) (\d+) SHA256:([0-9a-f]{64})$/.exec(line) ?? [];
    if (uri === undefined || file === undefined || sha256 === undefined || !isSha256(sha256)) return [];
    const archive = archives.find((name) => uri.startsWith(`${mirrors[name]}/`));
    if (archive === undefined) return []; // the package made here
    const [name = '', version = '', architecture = ''] = file
      .replace(/\.deb$/, '')
      .split('_')
      .map(decodeURIComponent);
    const path = decodeURIComponent(uri.slice(mirrors[archive].length + 1));
    return [{ name, version, architecture, archive, path, size: Number(size), sha256 }];
  });
  return debs.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function sourcesOf(suite: string, mirrors: Mirrors, keyring: string, local: string): string {
  const suites = suitesOf(suite);
  const remote = archives.map((archive) =>
    [
      'Types: deb',
      `URIs: ${mirrors[archive]}`,
      `Suites: ${suites[archive].join(' ')}`,
      'Components: main',
      `Signed-By: ${keyring}`,
      '',
    ].join('\n'),
  );
  return [...remote, `Types: deb\nURIs: copy:${local}\nSuites: ./\nTrusted: yes\n`].join('\n');
}

async function releasesOf(lists: string): Promise<DebianSet['releases']> {
  const names = (await readdir(lists)).filter((name) => name.endsWith('_InRelease')).sort();
  const releases = names.map(async (name) => {
    const file = join(lists, name);
    const text = await readFile(file, 'utf8');
    const date = new Date(/^Date: (.+)$/m.exec(text)?.[1] ?? '');
    const suite = /_dists_([^_]+)_InRelease$/.exec(name)?.[1] ?? name;
    const archive: Archive = suite.endsWith('-security') ? 'debian-security' : 'debian';
    return {
      archive,
      suite,
      date: date.toISOString().replace('.000Z', 'Z'),
      sha256: (await digestOf(file)).sha256,
    };
  });
  return Promise.all(releases);
}

function updateFailure(said: Said, suite: string, mirrors: Mirrors): Failure {
  const why = said.errors.join('\n  ');
  if (/Mirror sync in progress|Hash Sum mismatch/.test(why)) {
    return new Failure('dependency', {
      what: `the index of Debian ${suite} does not fit its signed digests`,
      where: mirrors.debian,
      why,
      fix: 'the mirror is being brought up to date, or something on the way keeps old files: try again in some minutes, or another mirror',
    });
  }
  const signature = /NO_PUBKEY|not signed|signature|Missing key|expired|Release file .* not valid yet/i.test(
    why,
  );
  return new Failure('dependency', {
    what: signature
      ? `the signed index of Debian ${suite} is not accepted`
      : `the index of Debian ${suite} cannot be had`,
    where: mirrors.debian,
    why,
    fix: signature
      ? 'check the clock of this machine and the mirror; newer keys: sudo apt-get install -y debian-archive-keyring'
      : 'check the mirror and the network; another mirror: EDGEKILN_DEBIAN_MIRROR=http://MIRROR/debian edgekiln …',
  });
}

function packageFailure(errors: readonly string[], explained: string, request: DebianRequest): Failure {
  const place = `Debian ${request.suite} ${request.architecture}`;
  const unknown = errors.flatMap((line) => /Unable to locate package (\S+)/.exec(line)?.[1] ?? []);
  const virtual = errors.flatMap(
    (line) => /Package '?([^\s']+)'? has no installation candidate/.exec(line)?.[1] ?? [],
  );
  const problems = [...unknown, ...virtual].map(
    (name): Problem => ({
      what: `${place} has no package ${name}`,
      why: 'the profile or its board asks for it',
      fix: 'correct the name; section main of the suite, its updates and its security archive are looked at',
    }),
  );
  if (problems.length > 0) return new Failure('input', problems);
  return new Failure('input', {
    what: `the packages cannot be installed together on ${place}`,
    why: explained.slice(Math.max(0, explained.indexOf('The following packages have unmet'))).trim(),
    fix: 'leave out one of them',
  });
}

function noKeyring(keyring: string): Failure {
  return new Failure('environment', {
    what: 'the keys that sign Debian are not on this machine',
    where: keyring,
    fix: 'sudo apt-get install -y --no-install-recommends debian-archive-keyring',
  });
}
