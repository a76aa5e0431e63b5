import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type KubernetesObject, renderApp } from '../../formats/app.ts';
import type { Api } from './api.ts';
import { applyApps } from './apps.ts';
import { openServed, type Served } from './served.fixture.ts';

let served: Served;
let api: Api;
let folder: string;
beforeAll(async () => {
  served = await openServed();
  api = await served.serving.api();
  folder = served.paths.apps;
}, 60_000);
afterAll(() => served?.close());
beforeEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await applyApps(api, folder, true);
});

const map = (name: string, data: object = {}): KubernetesObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
const put = (name: string, ...objects: KubernetesObject[]): void =>
  writeFileSync(join(folder, `${name}.json`), renderApp({ version: 1, name, namespace: 'default', objects }));
const path = (name: string): string => `/api/v1/namespaces/default/configmaps/${name}`;
const found = async (name: string): Promise<unknown> => {
  const { status, body } = await api.ask('GET', path(name));
  return status === 200 ? (body as { data: unknown }).data : status;
};
const versionOf = async (name: string): Promise<unknown> =>
  ((await api.object('GET', path(name)))['metadata'] as { resourceVersion: string }).resourceVersion;

test('an app is applied with its label, and only again when its file is another', async () => {
  put('till', map('prices', { tea: '2' }));
  expect(await applyApps(api, folder, false)).toEqual([]);
  expect(await found('prices')).toEqual({ tea: '2' });
  const { metadata } = await api.object('GET', path('prices'));
  expect(metadata).toMatchObject({ namespace: 'default', labels: { 'edgekiln.io/app': 'till' } });
  const before = await versionOf('prices');
  await applyApps(api, folder, false);
  expect(await versionOf('prices')).toBe(before);
  put('till', map('prices', { tea: '3' }));
  await applyApps(api, folder, false);
  expect(await found('prices')).toEqual({ tea: '3' });
});

test('what an app no longer has goes, and all of it when its file is gone; never what a person took over', async () => {
  put('till', map('prices'), map('stock'), map('mine'));
  await applyApps(api, folder, false);
  const label = { metadata: { labels: { 'edgekiln.io/app': null } } };
  await api.object('PATCH', path('mine'), label, 'application/merge-patch+json');
  put('till', map('prices'));
  await applyApps(api, folder, false);
  expect([await found('prices'), await found('stock'), await found('mine')]).toEqual([{}, 404, {}]);
  rmSync(join(folder, 'till.json'));
  await applyApps(api, folder, false);
  expect([await found('prices'), await found('mine')]).toEqual([404, {}]);
});

test('one that cannot be applied is named, and the others are applied all the same', async () => {
  put('a', { apiVersion: 'tills.example/v1', kind: 'Till', metadata: { name: 'one' } });
  put('b', map('b'));
  await expect(applyApps(api, folder, false)).rejects.toThrow(
    'the cluster does not know Till of tills.example/v1 (app a)',
  );
  expect(await found('b')).toEqual({});
  put('a', { ...map('a'), metadata: { name: 'a', namespace: 'nowhere' } });
  await expect(applyApps(api, folder, false)).rejects.toThrow(
    /PATCH \/api\/v1\/namespaces\/nowhere\/configmaps\/a\?.*: namespaces "nowhere" not found/,
  );
});

const pod = (volume: object): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'db' },
  spec: { template: { spec: { volumes: [{ name: 'data', ...volume }] } } },
});

test.each([
  ['a folder of its node', pod({ hostPath: { path: '/srv' } })],
  ['a claim', pod({ persistentVolumeClaim: { claimName: 'data' } })],
  ['claims of a set', { ...pod({}), kind: 'StatefulSet', spec: { volumeClaimTemplates: [{}] } }],
  ['a claim by itself', { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data' } }],
])('an app with %s waits until it may keep data; once applied it is kept up', async (_, object) => {
  put('db', object);
  put('till', map('prices'));
  expect(await applyApps(api, folder, false)).toEqual(['db']);
  expect(await found('prices')).toEqual({});
  expect(await listed()).toEqual([]);
  expect(await applyApps(api, folder, true)).toEqual([]);
  expect((await listed()).length).toBe(1);
  // Restarted, and again before anything is decided.
  put('db', { ...object, metadata: { ...object.metadata, annotations: { changed: 'yes' } } });
  expect(await applyApps(api, folder, false)).toEqual([]);
  expect(JSON.stringify(await listed())).toContain('"changed":"yes"');
});

test('an app without a volume of its own waits for nothing', async () => {
  put('till', pod({ emptyDir: {} }));
  expect(await applyApps(api, folder, false)).toEqual([]);
});

/** All objects of the app `db`, of the kinds it may have. */
async function listed(): Promise<readonly object[]> {
  const lists = ['/apis/apps/v1/deployments', '/apis/apps/v1/statefulsets', '/api/v1/persistentvolumeclaims'];
  const query = '?labelSelector=edgekiln.io%2Fapp%3Ddb';
  return (await Promise.all(lists.map((list) => api.list(`${list}${query}`)))).flat();
}
