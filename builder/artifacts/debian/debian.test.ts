// From a signed archive to a lock and a filled store: with apt itself, on a miniature archive.
import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failure } from '../../../formats/errors.ts';
import type { DebianRequest, DebianSet } from '../lock.ts';
import { Store } from '../store.ts';
import { type Archive, startArchive } from './archive.fixture.ts';
import { fetchDebs } from './fetch.ts';
import { resolveDebian } from './resolve.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
let archive: Archive;
beforeAll(async () => {
  archive = await startArchive({
    trixie: [
      { Package: 'base-files', Essential: 'yes', 'Pre-Depends': 'awk' },
      { Package: 'mawk', Provides: 'awk' },
      { Package: 'agent', Version: '2:1.0+x~1', Depends: 'lib (>= 2), tool | other', Recommends: 'manual' },
      { Package: 'lib', Version: '2' },
      { Package: 'tool', Architecture: 'all', 'Multi-Arch': 'foreign' },
      { Package: 'other' },
      { Package: 'manual' },
      { Package: 'kernel', Depends: 'initramfs-tools | linux-initramfs-tool' },
      { Package: 'initramfs-tools', Depends: 'other' },
      { Package: 'shim', Depends: 'nowhere' },
      { Package: 'left', Conflicts: 'right' },
      { Package: 'right' },
    ],
    updates: [{ Package: 'tool', Version: '1.1', Architecture: 'all' }],
    security: [{ Package: 'lib', Version: '2.1' }],
  });
});
afterAll(async () => {
  await archive.stop();
  rmSync(folder, { recursive: true, force: true });
});

const request: DebianRequest = {
  suite: 'trixie',
  architecture: 'amd64',
  install: ['kernel', 'agent'],
  extract: ['shim'],
};

function resolve(more: Partial<DebianRequest> = {}, from: Archive = archive): Promise<DebianSet> {
  return resolveDebian({ ...request, ...more }, { mirrors: from.mirrors, keyring: from.keyring });
}

async function failure(work: Promise<unknown>): Promise<Failure> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Failure) => error,
  );
}

describe('choosing', () => {
  test('takes essential packages, dependencies, the newest versions of all suites, and our own initrd maker', async () => {
    const set = await resolve();
    expect(set.requested).toEqual({ install: ['agent', 'kernel'], extract: ['shim'] });
    const names = set.install.map((deb) => `${deb.name} ${deb.version} ${deb.architecture} ${deb.archive}`);
    expect(names).toEqual([
      'agent 2:1.0+x~1 amd64 debian',
      'base-files 1 amd64 debian',
      'kernel 1 amd64 debian',
      'lib 2.1 amd64 debian-security',
      'mawk 1 amd64 debian',
      'tool 1.1 all debian',
    ]);
    expect(set.install[0]?.path).toBe('pool/main/agent/agent_1.0+x~1_amd64.deb');
    expect(set.extract.map((deb) => deb.name)).toEqual(['shim']);
    expect(set.releases.map(({ archive: of, suite }) => `${of} ${suite}`)).toEqual([
      'debian-security trixie-security',
      'debian trixie-updates',
      'debian trixie',
    ]);
  });

  test('gives the same set again', async () => {
    expect(await resolve({ install: ['agent', 'kernel', 'agent'] })).toEqual(await resolve());
  });

  test('only extracts where nothing is to be installed', async () => {
    const set = await resolve({ install: [] });
    expect(set.install).toEqual([]);
    expect(set.extract.map((deb) => deb.name)).toEqual(['shim']);
  });

  test.each([
    ['install', { install: ['agent', 'agnet'] }],
    ['extract', { extract: ['agnet'] }],
  ])('names a package that there is not, to %s', async (_use, more) => {
    const { kind, problems } = await failure(resolve(more));
    expect(kind).toBe('input');
    expect(problems.map(({ what }) => what)).toEqual(['Debian trixie amd64 has no package agnet']);
  });

  test('says which packages are in conflict', async () => {
    const { kind, problems } = await failure(resolve({ install: ['left', 'right'] }));
    expect(kind).toBe('input');
    expect(problems[0]?.what).toBe('the packages cannot be installed together on Debian trixie amd64');
    expect(problems[0]?.why).toContain('left : Conflicts: right');
  });
});

describe('an index that is not to be trusted', () => {
  const refused = 'the signed index of Debian trixie is not accepted';

  test('signed by another key', async () => {
    const stranger = await startArchive({ trixie: [] });
    const work = resolveDebian(request, { mirrors: archive.mirrors, keyring: stranger.keyring });
    const { kind, problems } = await failure(work);
    await stranger.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(refused);
  });

  test('signed, and changed afterwards', async () => {
    const changed = await startArchive({ trixie: [{ Package: 'agent' }] });
    const path = '/debian/dists/trixie/InRelease';
    const text = changed.files.get(path)?.toString() ?? '';
    changed.files.set(path, Buffer.from(text.replace('Suite: trixie', 'Suite: stable')));
    const { kind, problems } = await failure(resolve({}, changed));
    await changed.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(refused);
  });

  test('out of date', async () => {
    const old = await startArchive({ trixie: [{ Package: 'agent' }], validDays: -1 });
    const { kind, problems } = await failure(resolve({}, old));
    await old.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(refused);
    expect(problems[0]?.why).toContain('expired');
  });

  test('not the one that was signed', async () => {
    const swapped = await startArchive({ trixie: [{ Package: 'agent' }] });
    const path = '/debian/dists/trixie/main/binary-amd64/Packages';
    const text = swapped.files.get(path)?.toString() ?? '';
    swapped.files.set(path, Buffer.from(text.replace('Package: agent', 'Package: agemt')));
    const { kind, problems } = await failure(resolve({}, swapped));
    await swapped.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe('the index of Debian trixie does not fit its signed digests');
  });

  test('no keys at all', async () => {
    const { kind, problems } = await failure(
      resolveDebian(request, { mirrors: archive.mirrors, keyring: '/no/keys' }),
    );
    expect(kind).toBe('environment');
    expect(problems[0]?.what).toBe('the keys that sign Debian are not on this machine');
  });
});

describe('fetching', () => {
  let store: Store;
  let set: DebianSet;
  const fetch = (more: object = {}) =>
    fetchDebs(set, { store, mirrors: async () => archive.mirrors, ...more });
  beforeAll(async () => {
    store = new Store(join(folder, 'store'));
    set = await resolve();
  });

  test('offline, says how many are missing', async () => {
    const { kind, problems } = await failure(fetch({ offline: true }));
    expect(kind).toBe('dependency');
    expect(problems[0]).toMatchObject({
      what: '7 Debian packages of the lock are not in the store',
      why: 'this run is offline; missing: agent 2:1.0+x~1, base-files 1, kernel 1, lib 2.1, mawk 1, and 2 more',
    });
  });

  test('names what the mirror no longer has or gives wrong, and keeps the rest', async () => {
    const gone = '/debian/pool/main/mawk/mawk_1_amd64.deb';
    const wrong = '/debian/pool/main/kernel/kernel_1_amd64.deb';
    const kept = [gone, wrong].map((path) => [path, archive.files.get(path) ?? Buffer.alloc(0)] as const);
    archive.files.delete(gone);
    archive.files.set(wrong, Buffer.from('<html>'));
    const { kind, problems } = await failure(fetch());
    for (const [path, bytes] of kept) archive.files.set(path, bytes);
    expect(kind).toBe('dependency');
    expect(problems.map(({ what, where }) => [what, where?.replace(archive.mirror.url, '')])).toEqual([
      ['kernel 1 cannot be had', wrong],
      ['mawk 1 cannot be had', gone],
    ]);
    expect(problems[0]?.why).toContain('Hash Sum mismatch');
    expect(problems[1]?.why).toBe('the mirror no longer has this version');
    expect(problems[1]?.fix).toContain('edgekiln artifacts lock --update PROFILE');
  });

  test('asks for what is missing only, then for nothing; and then needs no network', async () => {
    const before = archive.mirror.asked.length;
    await fetch();
    const asked = archive.mirror.asked.slice(before).map(({ path }) => path);
    expect(asked).toEqual([
      '/debian/pool/main/kernel/kernel_1_amd64.deb',
      '/debian/pool/main/mawk/mawk_1_amd64.deb',
    ]);
    await fetch({ offline: true });
    for (const deb of [...set.install, ...set.extract]) await store.need(deb.sha256, deb.name);
    expect(archive.mirror.asked.length).toBe(before + 2);
  });

  test('at a glance, a file of the right size passes until it is used; a shorter one does not', async () => {
    const [deb] = set.install;
    if (deb === undefined) throw new Error('the set is not empty');
    const path = store.pathOf(deb.sha256);
    chmodSync(path, 0o644);
    writeFileSync(path, Buffer.alloc(deb.size));
    await fetch({ offline: true, glance: true });
    truncateSync(path, deb.size - 1);
    expect((await failure(fetch({ offline: true, glance: true }))).kind).toBe('dependency');
    await fetch();
    await store.need(deb.sha256, deb.name);
  });
});
