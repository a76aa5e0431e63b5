import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SiteApp } from '../../../formats/app.ts';
import { parseProfile } from '../../profile/load.ts';
import type { Profile } from '../../profile/profile.ts';
import { k3sFiles } from '../k3s.ts';
import type { Lock } from '../lock.ts';
import { Store } from '../store.ts';
import { imagesOfSite } from './site.ts';

const release = 'v1.36.4+k3s1';
const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
const store = new Store(join(folder, 'store'));
let lock: Lock;
beforeAll(async () => {
  const files = k3sFiles(release, 'amd64');
  const list = await store.put(
    Buffer.from('docker.io/rancher/mirrored-pause:3.6\ndocker.io/rancher/klipper-lb:v1\n'),
  );
  const archive = await store.put(Buffer.from('the archive'));
  lock = {
    format: 1,
    debian: [],
    files: [
      { name: files.imageList, ...list },
      { name: files.images, ...archive },
    ],
  };
  mkdirSync(join(folder, 'shop'));
  writeFileSync(join(folder, 'shop', 'web.yaml'), 'spec: { containers: [{ image: shop/web }] }\n');
  writeFileSync(join(folder, 'shop', 'web.tar'), 'an archive of the app');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function profile(k3s: string): Profile {
  const text = `apiVersion: edgekiln/v1
site: { name: shop }
k3s: ${k3s}
board: qemu-x86_64
devices: [{ name: one }]
apps:
  - { name: web, manifests: [shop/web.yaml], images: [shop/web.tar] }
  - { name: till, chart: { path: till } }
`;
  return parseProfile(Buffer.from(text), join(folder, 'shop.yaml')).profile;
}

const app = (name: string, kind: string, image: string): SiteApp => ({
  version: 1,
  name,
  namespace: 'default',
  objects: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { [kind]: [{ image }] } }],
});
const apps = [app('web', 'containers', 'shop/web'), app('till', 'initContainers', 'ghcr.io/shop/till:1')];

test('that an app names itself, by full names', async () => {
  const given = profile('{ standIn: true }');
  const needy = { ...given, apps: given.apps.map((one) => ({ ...one, needs: ['shop/worker'] })) };
  const { wanted } = await imagesOfSite(needy, 'amd64', { lock, store, apps: [] });
  expect(wanted).toEqual(
    ['web', 'till'].map((name) => {
      return { name: 'docker.io/shop/worker:latest', by: `app ${name} (needs)` };
    }),
  );
});

test('of a release: its list less what is disabled, and the apps', async () => {
  const { wanted, archives } = await imagesOfSite(
    profile(`{ release: ${release}, config: { disable: [servicelb] } }`),
    'amd64',
    { lock, store, apps },
  );
  expect(wanted).toEqual([
    { name: 'docker.io/rancher/mirrored-pause:3.6', by: `k3s ${release}` },
    { name: 'docker.io/shop/web:latest', by: 'app web' },
    { name: 'ghcr.io/shop/till:1', by: 'app till' },
  ]);
  expect(archives.map(({ name, path }) => [name, path])).toEqual([
    [`k3s/${release}/k3s-airgap-images-amd64.tar.zst`, store.pathOf(lock.files[1]!.sha256)],
    ['web.tar of app web', join(folder, 'shop', 'web.tar')],
  ]);
});

test('of options of k3s that name one', async () => {
  const k3s = `{ release: ${release}, config: { pause-image: "shop/pause:1" } }`;
  const { wanted } = await imagesOfSite(profile(k3s), 'amd64', { lock, store, apps: [] });
  expect(wanted.at(-1)).toEqual({ name: 'docker.io/shop/pause:1', by: 'k3s.config.pause-image' });
});

test('a chart that devices would install by themselves is refused', async () => {
  const object = { apiVersion: 'helm.cattle.io/v1', kind: 'HelmChart', metadata: { name: 'grafana' } };
  const inner: SiteApp = { version: 1, name: 'web', namespace: 'default', objects: [object] };
  await expect(
    imagesOfSite(profile('{ standIn: true }'), 'amd64', { lock, store, apps: [inner] }),
  ).rejects.toMatchObject({
    kind: 'input',
    problems: [{ what: 'app web has its devices install a chart: HelmChart grafana' }],
  });
});

test('of the stand-in: the apps alone', async () => {
  const { wanted } = await imagesOfSite(profile('{ standIn: true }'), 'amd64', { lock, store, apps });
  expect(wanted.map(({ by }) => by)).toEqual(['app web', 'app till']);
});

test('of a binary of one’s own: all that its archives name', async () => {
  const k3s = `{ file: k3s, sha256: ${'a'.repeat(64)}, images: [shop/web.tar] }`;
  const site = await imagesOfSite(profile(k3s), 'amd64', { lock, store, apps: [] });
  expect(site.wanted).toEqual([]);
  expect(site.whole).toEqual(['web.tar of k3s']);
  expect(site.archives.map(({ name }) => name)).toEqual(['web.tar of k3s', 'web.tar of app web']);
});

test('a file that is not there is named', async () => {
  rmSync(join(folder, 'shop', 'web.tar'));
  await expect(
    imagesOfSite(profile('{ standIn: true }'), 'amd64', { lock, store, apps }),
  ).rejects.toMatchObject({
    kind: 'input',
    problems: [
      { what: 'an image archive of app web cannot be read', where: join(folder, 'shop', 'web.tar') },
    ],
  });
});
