import { expect, test } from 'vitest';
import type { SiteApp } from '../../formats/app.ts';
import { parseProfile } from '../profile/load.ts';
import { warningsOf } from './warnings.ts';

function warnings(k3s: string, objects: SiteApp['objects']): string[] {
  const text = `apiVersion: edgekiln/v1
site: { name: shop }
k3s: ${k3s}
board: qemu-x86_64
devices: [{ name: one }]
`;
  const { profile } = parseProfile(Buffer.from(text), '/site/shop.yaml');
  return warningsOf(profile, [{ version: 1, name: 'till', namespace: 'default', objects }]);
}

const claim = (spec: object) => {
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'sales' }, spec };
};
const set = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'db' },
  spec: { volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }] },
};
const storage = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'fast' } };
const release = '{ release: v1.36.4+k3s1 }';

test('a claim that nothing meets is told of', () => {
  expect(warnings(release, [claim({}), set])).toEqual([
    'app till: nothing gives it the volumes that it claims (sales, data): local-storage is off (write k3s: {config: {disable: […]}} without it, or use a hostPath below a path of persist)',
  ]);
  expect(warnings(release, [claim({ storageClassName: 'slow' }), storage])).toHaveLength(1);
});

test.each([
  ['with local-storage', '{ release: v1.36.4+k3s1, config: { disable: [traefik] } }', [claim({}), set]],
  ['with a class that an app brings', release, [claim({ storageClassName: 'fast' }), storage]],
  ['with some class that an app brings', release, [claim({}), set, storage]],
  ['with a volume made by hand', release, [claim({ storageClassName: '' })]],
  ['of the stand-in', '{ standIn: true }', [claim({})]],
])('and none is one %s', (_, k3s, objects) => {
  expect(warnings(k3s, objects)).toEqual([]);
});

test('so are images that are pulled at every start, and a k3s without archives', () => {
  const pod = { containers: [{ image: 'shop/till' }] };
  const objects = [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'till' }, spec: pod }];
  const file = `{ file: k3s, sha256: ${'a'.repeat(64)} }`;
  expect(warnings(file, objects)).toEqual([
    'no archive of k3s: without internet its devices start no pod (k3s.images)',
    'app till: without internet it does not start, since it pulls at every start: shop/till (write imagePullPolicy: IfNotPresent, or a tag other than latest)',
  ]);
});
