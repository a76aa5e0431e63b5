// A miniature Debian archive, signed with a key of its own, served on this machine.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mirror, startMirror } from '../mirror.fixture.ts';
import { type Mirrors, mirrorsBeside } from './mirrors.ts';

/** The fields of a package; `Version` is 1 and `Architecture` amd64 where they are left out. */
export type Fields = { readonly Package: string } & Readonly<Record<string, string>>;

export interface Archive {
  readonly mirrors: Mirrors;
  readonly keyring: string;
  readonly mirror: Mirror;
  /** What is served, by path. To be changed by a test. */
  readonly files: Map<string, Buffer>;
  stop(): Promise<void>;
}

export interface Contents {
  readonly trixie: readonly Fields[];
  readonly updates?: readonly Fields[];
  readonly security?: readonly Fields[];
  /** Days from now after which the indexes are no longer valid. */
  readonly validDays?: number;
}

/** Makes the three suites of trixie for amd64. */
export async function startArchive(contents: Contents): Promise<Archive> {
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
  const gpg = (args: readonly string[], input?: string) =>
    execFileSync('gpg', ['--batch', '--homedir', folder, '--quiet', ...args], {
      input,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
  gpg([
    '--passphrase',
    '',
    '--quick-generate-key',
    'Archive <archive@edgekiln.test>',
    'ed25519',
    'sign',
    '0',
  ]);
  const keyring = join(folder, 'archive.gpg');
  writeFileSync(keyring, gpg(['--export']));
  const files = new Map<string, Buffer>();
  const valid = contents.validDays ?? 7;
  const suites: [string, string, readonly Fields[]][] = [
    ['/debian', 'trixie', contents.trixie],
    ['/debian', 'trixie-updates', contents.updates ?? []],
    ['/debian-security', 'trixie-security', contents.security ?? []],
  ];
  for (const [archive, suite, packages] of suites) {
    const index = Buffer.from(
      packages.map((fields) => addPackage(folder, files, archive, fields)).join('\n'),
    );
    files.set(`${archive}/dists/${suite}/main/binary-amd64/Packages`, index);
    const release = releaseOf(suite, index, valid);
    files.set(`${archive}/dists/${suite}/InRelease`, gpg(['--clearsign', '-o', '-'], release));
  }
  const mirror = await startMirror((request, response) => {
    const found = files.get(decodeURIComponent(request.url ?? ''));
    response.writeHead(found === undefined ? 404 : 200).end(found);
  });
  return {
    mirrors: mirrorsBeside(`${mirror.url}/debian`),
    keyring,
    mirror,
    files,
    stop: async () => {
      await mirror.stop();
      execFileSync('gpgconf', ['--homedir', folder, '--kill', 'all'], { stdio: 'ignore' });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Builds a package into the pool and returns its paragraph of the index. */
function addPackage(folder: string, files: Map<string, Buffer>, archive: string, given: Fields): string {
  const { Package, ...more } = given;
  const fields = {
    Package,
    ...{ Version: '1', Architecture: 'amd64', Maintainer: 'A <a@b.c>', Description: 'a test' },
    ...more,
  };
  const control = Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
  const root = join(folder, 'root');
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  writeFileSync(join(root, 'DEBIAN', 'control'), control);
  const deb = join(folder, 'made.deb');
  execFileSync('dpkg-deb', ['--root-owner-group', '-b', root, deb], { stdio: 'ignore' });
  const bytes = readFileSync(deb);
  rmSync(root, { recursive: true });
  const version = fields.Version.replace(/^\d+:/, '');
  const path = `pool/main/${Package}/${Package}_${version}_${fields.Architecture}.deb`;
  files.set(`${archive}/${path}`, bytes);
  return `${control}Filename: ${path}\nSize: ${bytes.length}\nSHA256: ${digest(bytes)}\n`;
}

function releaseOf(suite: string, index: Buffer, validDays: number): string {
  const now = Date.now();
  const utc = (time: number) => new Date(time).toUTCString().replace('GMT', 'UTC');
  return [
    'Origin: Debian',
    'Label: Debian',
    `Suite: ${suite}`,
    `Codename: ${suite}`,
    `Date: ${utc(now - 20 * 86_400_000)}`,
    `Valid-Until: ${utc(now + validDays * 86_400_000)}`,
    'Architectures: amd64',
    'Components: main',
    'SHA256:',
    ` ${digest(index)} ${index.length} main/binary-amd64/Packages`,
    '',
  ].join('\n');
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
