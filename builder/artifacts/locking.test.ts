// A profile's way to its lock and a full store, from mirrors on this machine; then without any.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '../../formats/errors.ts';
import { type LoadedProfile, loadProfile } from '../profile/load.ts';
import { type Archive, startArchive } from './debian/archive.fixture.ts';
import { defaultPackages } from './debian/packages.ts';
import { helmFiles } from './helm.ts';
import { k3sFiles } from './k3s.ts';
import { fetchLocked, type LockOptions, lockForBuild, makeLock } from './locking.ts';
import { type Mirror, serve, startMirror } from './mirror.fixture.ts';
import { parseSums } from './published.ts';
import { Store } from './store.ts';

const release = 'v1.36.4+k3s1';
const contents: Record<string, Buffer> = {
  k3s: Buffer.from('the binary'),
  'k3s-airgap-images-amd64.tar.zst': Buffer.from('the images'),
};
const sums = Object.entries(contents)
  .map(([name, bytes]) => `${digest(bytes)}  ${name}\n`)
  .join('');
const published: Record<string, Buffer> = {
  ...contents,
  'sha256sum-amd64.txt': Buffer.from(sums),
  'k3s-images.txt': Buffer.from('docker.io/rancher/mirrored-pause:3.6\n'),
};

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
const variables = [
  'EDGEKILN_DEBIAN_MIRROR',
  'EDGEKILN_DEBIAN_KEYRING',
  'EDGEKILN_K3S_MIRROR',
  'EDGEKILN_HELM_MIRROR',
];
let debian: Archive;
let k3s: Mirror;
beforeAll(async () => {
  const names = [...defaultPackages, 'linux-image-amd64', 'shim-signed', 'grub-efi-amd64-signed', 'htop'];
  debian = await startArchive({ trixie: names.map((Package) => ({ Package })) });
  k3s = await startMirror((request, response) => {
    const path = `/${encodeURIComponent(release)}/`;
    const found = request.url?.startsWith(path) ? published[request.url.slice(path.length)] : undefined;
    if (found === undefined) response.writeHead(404).end();
    else serve(found)(request, response);
  });
});
beforeEach(() => {
  process.env['EDGEKILN_DEBIAN_MIRROR'] = debian.mirrors.debian;
  process.env['EDGEKILN_DEBIAN_KEYRING'] = debian.keyring;
  process.env['EDGEKILN_K3S_MIRROR'] = k3s.url;
});
afterAll(async () => {
  for (const name of variables) delete process.env[name];
  await debian.stop();
  await k3s.stop();
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;
/** A profile in a folder of its own. */
async function profile(
  given: { packages?: string[]; k3s?: string; folder?: string; more?: string } = {},
): Promise<LoadedProfile> {
  const file = join(given.folder ?? join(folder, String(++count)), 'shop.yaml');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(
    file,
    [
      'apiVersion: edgekiln/v1',
      'site: { name: shop }',
      `base: { debian: { packages: [${(given.packages ?? []).join(', ')}] } }`,
      `k3s: ${given.k3s ?? `{ release: ${release} }`}`,
      'board: qemu-x86_64',
      'devices: [{ name: one }]',
      given.more ?? '',
    ].join('\n'),
  );
  return loadProfile(file);
}

function options(more: Partial<LockOptions> = {}): LockOptions {
  const store = new Store(join(folder, `store-${++count}`));
  return { store, offline: false, signal: new AbortController().signal, say: () => {}, ...more };
}

async function failure(work: Promise<unknown>): Promise<Failure> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: Failure) => error,
  );
}

test('a build without a lock makes one, says so, and fills the store; the next needs no network', async () => {
  const loaded = await profile();
  const said: string[] = [];
  const working = options({ say: (line) => said.push(line) });
  const lock = await lockForBuild(loaded, working);
  expect(said[0]).toBe(
    `${dirname(loaded.file)}/shop.lock.yaml: there is none yet: made now, keep it with the profile`,
  );
  expect(lock.files.map((file) => file.name)).toEqual(Object.values(k3sFiles(release, 'amd64')).sort());
  await fetchLocked(lock, loaded, working);

  process.env['EDGEKILN_DEBIAN_MIRROR'] = 'http://127.0.0.1:1/debian';
  process.env['EDGEKILN_K3S_MIRROR'] = 'http://127.0.0.1:1';
  for (const offline of [false, true]) {
    const again = await lockForBuild(loaded, { ...working, offline });
    expect(again).toEqual(lock);
    await fetchLocked(again, loaded, { ...working, offline });
  }
});

describe('offline', () => {
  test('no lock is made', async () => {
    const loaded = await profile();
    const { kind, problems } = await failure(lockForBuild(loaded, options({ offline: true })));
    expect(kind).toBe('dependency');
    expect(problems[0]).toMatchObject({
      what: 'there is no lock file, and none can be made offline',
      fix: `edgekiln artifacts lock ${loaded.file}, where there is a network`,
    });
  });

  test('an empty store is not enough', async () => {
    const loaded = await profile();
    const lock = await lockForBuild(loaded, options());
    const { kind, problems } = await failure(
      fetchLocked({ ...lock, debian: [] }, loaded, options({ offline: true })),
    );
    expect(kind).toBe('dependency');
    expect(problems[0]).toMatchObject({
      what: `k3s/${release}/k3s is not in the store`,
      why: 'this run is offline',
    });
  });
});

describe('a changed profile', () => {
  test('is not built by a lock that does not fit it', async () => {
    const before = await profile();
    await lockForBuild(before, options());
    const loaded = await profile({
      packages: ['htop'],
      k3s: '{ standIn: true }',
      folder: dirname(before.file),
    });
    const { kind, problems } = await failure(lockForBuild(loaded, options()));
    expect(kind).toBe('input');
    expect(problems[0]).toMatchObject({
      what: 'the lock file no longer fits the profile',
      fix: `edgekiln artifacts lock ${loaded.file}`,
    });
    expect(problems[0]?.why).toMatch(/^trixie amd64: install now has htop; k3s\/.* is no longer wanted;/);
  });

  test('leaves in the lock what still fits', async () => {
    const before = await profile();
    const { lock } = await makeLock(before, { ...options(), update: false });
    const loaded = await profile({ packages: ['htop'], folder: dirname(before.file) });
    const asked = k3s.asked.length;
    const made = await makeLock(loaded, { ...options(), update: false });
    expect(made.changes).toEqual(['trixie amd64: install now has htop']);
    expect(made.lock.files).toEqual(lock.files);
    expect(made.lock.debian[0]?.install.map(({ name }) => name)).toContain('htop');
    expect(k3s.asked.length).toBe(asked);
    expect((await makeLock(loaded, { ...options(), update: false })).changes).toEqual([]);
    expect((await makeLock(loaded, { ...options(), update: true })).lock).toEqual(made.lock);
    expect(k3s.asked.length).toBeGreaterThan(asked);
  });
});

describe('k3s', () => {
  test('from a folder with the layout of the releases', async () => {
    const mirror = join(folder, 'stick');
    mkdirSync(join(mirror, release), { recursive: true });
    for (const [name, bytes] of Object.entries(published)) writeFileSync(join(mirror, release, name), bytes);
    process.env['EDGEKILN_K3S_MIRROR'] = mirror.replace(/\+/g, '+');
    const working = options();
    const { lock } = await makeLock(await profile(), { ...working, update: false });
    const binary = lock.files.find((file) => file.name.endsWith('/k3s'));
    if (binary === undefined) throw new Error('no binary');
    expect(readFileSync(await working.store.need(binary.sha256, 'k3s'), 'utf8')).toBe('the binary');
  });

  test('whose binary is not the published one is refused', async () => {
    published['k3s'] = Buffer.from('another one');
    const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
    published['k3s'] = contents['k3s'] ?? Buffer.alloc(0);
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(`k3s/${release}/k3s cannot be had`);
    expect(problems[0]?.why).toContain(`it gives another file: sha256 ${digest(Buffer.from('another one'))}`);
  });

  test('that nobody has is a failure that says where it was looked for', async () => {
    const loaded = await profile({ k3s: '{ release: v1.0.0+k3s1 }' });
    const { kind, problems } = await failure(makeLock(loaded, { ...options(), update: false }));
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe('k3s/v1.0.0+k3s1/sha256sum-amd64.txt cannot be had');
    expect(problems[0]?.why).toContain('/v1.0.0%2Bk3s1/sha256sum-amd64.txt: ');
    expect(problems[0]?.why).toContain('404');
  });

  test.each([
    ['', 'it names none'],
    ['<!doctype html>\n<p>Please log in\n', 'it has the line <!doctype html>'],
  ])('whose list of images is %j is refused', async (list, why) => {
    const kept = published['k3s-images.txt'] ?? Buffer.alloc(0);
    published['k3s-images.txt'] = Buffer.from(list);
    const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
    published['k3s-images.txt'] = kept;
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(`k3s/${release}/k3s-images.txt cannot be had`);
    expect(problems[0]?.why).toContain(`k3s-images.txt: it is no list of images: ${why}`);
  });

  test('whose list of images is not the published one is refused, where one is published', async () => {
    const kept = published['sha256sum-amd64.txt'] ?? Buffer.alloc(0);
    published['sha256sum-amd64.txt'] = Buffer.from(`${sums}${'0'.repeat(64)}  k3s-images.txt\n`);
    const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
    published['sha256sum-amd64.txt'] = kept;
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe(`k3s/${release}/k3s-images.txt cannot be had`);
  });

  test('that publishes no digest for a file is refused', async () => {
    const kept = published['sha256sum-amd64.txt'];
    published['sha256sum-amd64.txt'] = Buffer.from(`${'0'.repeat(64)}  other\n`);
    const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
    published['sha256sum-amd64.txt'] = kept ?? Buffer.alloc(0);
    expect(kind).toBe('dependency');
    expect(problems[0]?.what).toBe('k3s has no published digest');
  });

  test('from the next mirror, where one answers everything with a page to log in', async () => {
    const good = process.env['EDGEKILN_K3S_MIRROR'];
    const portal = await startMirror(serve(Buffer.from('<html>Please log in</html>')));
    const lock = async (...mirrors: (string | undefined)[]) => {
      process.env['EDGEKILN_K3S_MIRROR'] = mirrors.join(' ');
      return makeLock(await profile(), { ...options(), update: false });
    };
    expect((await lock(portal.url, good)).lock.files.map(({ name }) => name).sort()).toEqual(
      Object.values(k3sFiles(release, 'amd64')).sort(),
    );
    const { kind, problems } = await failure(lock(portal.url));
    process.env['EDGEKILN_K3S_MIRROR'] = good;
    await portal.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]).toMatchObject({ what: `k3s/${release}/sha256sum-amd64.txt cannot be had` });
    expect(problems[0]?.why).toContain('it gives no digests');
  });

  test('from a mirror that sends without end is refused', async () => {
    const good = process.env['EDGEKILN_K3S_MIRROR'];
    const flood = await startMirror(serve(Buffer.alloc(3 * 1024 ** 2, 'x')));
    process.env['EDGEKILN_K3S_MIRROR'] = flood.url;
    const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
    process.env['EDGEKILN_K3S_MIRROR'] = good;
    await flood.stop();
    expect(kind).toBe('dependency');
    expect(problems[0]?.why).toContain('sha256sum-amd64.txt: it sends more than 1048576 bytes');
  });

  test.each(['http://', 'http://[::', 'ftp://a/b', 'http://127.0.0.1:99999'])(
    'from the mirror %s is refused: it is none',
    async (mirror) => {
      const good = process.env['EDGEKILN_K3S_MIRROR'];
      process.env['EDGEKILN_K3S_MIRROR'] = `/nowhere ${mirror}`;
      const { kind, problems } = await failure(makeLock(await profile(), { ...options(), update: false }));
      process.env['EDGEKILN_K3S_MIRROR'] = good;
      expect(kind).toBe('input');
      expect(problems).toEqual([
        {
          what: `EDGEKILN_K3S_MIRROR names a mirror that is none: ${mirror}`,
          fix: 'name addresses (http://…, https://…) or folders, parted by blanks',
        },
      ]);
    },
  );

  test('of one’s own is taken by its digest, or refused', async () => {
    const here = join(folder, 'own');
    mkdirSync(here);
    writeFileSync(join(here, 'own-k3s'), 'my own');
    const sha256 = digest(Buffer.from('my own'));
    const good = await profile({ k3s: `{ file: own-k3s, sha256: ${sha256} }`, folder: here });
    const working = options();
    const lock = await lockForBuild(good, working);
    expect(lock.files).toEqual([]);
    await fetchLocked(lock, good, working);
    const bad = await profile({ k3s: `{ file: own-k3s, sha256: ${'a'.repeat(64)} }`, folder: here });
    const { kind, problems } = await failure(fetchLocked({ ...lock, debian: [] }, bad, working));
    expect(kind).toBe('input');
    expect(problems[0]?.what).toBe('the k3s binary is not the file that the profile names');
  });
});

test('helm is pinned where an app is a chart, for every kind of build machine', async () => {
  const assets = Object.values(helmFiles).map((name) => name.slice(name.lastIndexOf('/') + 1));
  const helm = await startMirror((request, response) => {
    const asset = (request.url ?? '').slice(1);
    const bytes = Buffer.from(asset.replace('.sha256sum', ''));
    const sum = Buffer.from(`${digest(bytes)}  ${bytes}\n`);
    if (!assets.includes(bytes.toString())) response.writeHead(404).end();
    else serve(asset.endsWith('.sha256sum') ? sum : bytes)(request, response);
  });
  process.env['EDGEKILN_HELM_MIRROR'] = helm.url;
  const here = join(folder, 'charts');
  mkdirSync(join(here, 'chart'), { recursive: true });
  const loaded = await profile({
    folder: here,
    k3s: '{ standIn: true }',
    more: 'apps: [{ name: a, chart: { path: chart } }]',
  });
  const { lock } = await makeLock(loaded, { ...options(), update: false });
  await helm.stop();
  expect(lock.files.map(({ name }) => name)).toEqual(Object.values(helmFiles).sort());
  expect(await lockForBuild(loaded, options({ offline: true }))).toEqual(lock);
  // The mirror of helm is gone: what the lock has of it stays when k3s is added.
  const more = await profile({ folder: here, more: 'apps: [{ name: a, chart: { path: chart } }]' });
  const made = await makeLock(more, { ...options(), update: false });
  expect(made.lock.files.map(({ name }) => name)).toEqual(
    [...Object.values(helmFiles), ...Object.values(k3sFiles(release, 'amd64'))].sort(),
  );
});

test('sums are read in the forms that sha256sum writes', () => {
  const hex = 'ab'.repeat(32);
  const read = parseSums(`${hex}  k3s\n${hex} *dist/k3s-arm64\nnot a sum\n${hex.toUpperCase()}  upper\n`);
  expect([...read.keys()]).toEqual(['k3s', 'k3s-arm64']);
});

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
