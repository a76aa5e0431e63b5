// The base from packages. Building one for real takes a mirror and a minute: EDGEKILN_TEST_DEBIAN=1.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchDebs } from '../artifacts/debian/fetch.ts';
import { findMirrors } from '../artifacts/debian/mirrors.ts';
import { defaultPackages } from '../artifacts/debian/packages.ts';
import { resolveDebian } from '../artifacts/debian/resolve.ts';
import { epochOf } from '../artifacts/lock.ts';
import { isSha256, type Sha256 } from '../artifacts/sha256.ts';
import { digestOf, Store } from '../artifacts/store.ts';
import { workshopIn } from '../pipeline/workshop.fixture.ts';
import type { Entry } from '../tree/entry.ts';
import { indexTar } from '../tree/tar.ts';
import { type BaseOptions, base } from './base.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const store = new Store(process.env['EDGEKILN_STORE'] || join(folder, 'store'));
const here = ({ x64: 'amd64', arm64: 'arm64', arm: 'armhf' } as const)[String(process.arch)] ?? 'amd64';

async function run(name: string, options: Partial<BaseOptions>): Promise<string> {
  const result = join(folder, name);
  mkdirSync(result);
  const all = {
    suite: 'trixie',
    architecture: here,
    debs: [],
    documentation: false,
    sourceDateEpoch: 0,
    ...options,
  };
  await base.run(base.schema.parse(all), { store: store.root }, workshopIn(result));
  return join(result, 'base.tar');
}

test('a package that is not in the store stops it before anything is installed', async () => {
  const sha256 = '0'.repeat(64);
  await expect(
    run('missing', { debs: [{ name: 'dash', version: '1', sha256: sha(sha256) }] }),
  ).rejects.toMatchObject({
    kind: 'dependency',
    problems: [{ what: 'dash 1 is not in the store', where: store.root }],
  });
});

test.skipIf(foreignIsEnabled())('another architecture needs an emulator, and it says which', async () => {
  await expect(run('foreign', { architecture: 'armhf' })).rejects.toMatchObject({
    kind: 'environment',
    problems: [
      {
        what: 'programs for armhf cannot be run on this machine',
        fix: 'sudo apt-get install -y --no-install-recommends qemu-user-static binfmt-support',
      },
    ],
  });
});

describe.skipIf(process.env['EDGEKILN_TEST_DEBIAN'] === undefined)('from a real mirror', () => {
  const made: { file: string; epoch: number; entries: Map<string, Entry> }[] = [];

  beforeAll(async () => {
    const mirrors = await findMirrors();
    const request = { suite: 'trixie', architecture: here, install: [...defaultPackages], extract: [] };
    const set = await resolveDebian(request, { mirrors });
    await fetchDebs(set, { store, mirrors: async () => mirrors });
    const debs = set.install.map(({ name, version, sha256 }) => ({ name, version, sha256 }));
    for (const name of ['one', 'two']) {
      const epoch = epochOf(set);
      const file = await run(name, { debs, sourceDateEpoch: epoch });
      const entries = new Map([...indexTar(file)].map((entry) => [entry.path, entry]));
      made.push({ file, epoch, entries });
    }
  }, 600_000);

  test('two builds give the same bytes', async () => {
    const digests = await Promise.all(made.map(({ file }) => digestOf(file)));
    expect(digests[0]).toEqual(digests[1]);
  });

  test('nothing in it is of this build, of this machine, or secret', () => {
    const { entries = new Map<string, Entry>(), epoch = 0 } = made[0] ?? {};
    const paths = [...entries.keys()];
    expect(paths.length).toBeGreaterThan(3000);
    const unwanted =
      /ssh_host_|^etc\/(hostname|resolv\.conf|apt\/sources\.list)$|-old$|^var\/(log\/.*\.log|cache\/apt\/.)|__pycache__|^initrd\.img/;
    expect(paths.filter((path) => unwanted.test(path))).toEqual([]);
    expect([...entries.values()].filter(({ mtime }) => mtime > epoch)).toEqual([]);
    expect(entries.get('etc/machine-id')).toMatchObject({ kind: 'file', size: 0 });
    expect(paths.filter((path) => path.startsWith('usr/share/man/') && !path.endsWith('/'))).toHaveLength(0);
    expect(paths).toContain('usr/share/doc/dash/copyright');
  });

  test('it has the agent’s runtime and no package manager’s front end', () => {
    const { entries = new Map<string, Entry>() } = made[0] ?? {};
    for (const path of ['usr/bin/node', 'usr/bin/rauc', 'usr/lib/systemd/systemd', 'usr/sbin/sshd']) {
      expect(entries.get(path)?.kind).toBe('file');
    }
    expect(entries.has('usr/bin/apt-get')).toBe(false);
    expect(entries.has('usr/sbin/update-initramfs')).toBe(false);
  });
});

function foreignIsEnabled(): boolean {
  try {
    return readFileSync('/proc/sys/fs/binfmt_misc/qemu-arm', 'utf8').startsWith('enabled');
  } catch {
    return here === 'armhf';
  }
}

function sha(text: string): Sha256 {
  if (!isSha256(text)) throw new Error('no digest');
  return text;
}
