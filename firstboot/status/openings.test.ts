import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type KubernetesObject, renderApp } from '../../formats/app.ts';
import { openingsIn, openingsOf } from './openings.ts';

const object = (kind: string, spec: object): KubernetesObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name: 'x' },
  spec,
});
const pod = (...ports: object[]) => ({ containers: [{ name: 'a', ports }, { name: 'b' }] });

test('ports that boards open for an app: of services, of pods, and of what makes pods', () => {
  const objects = [
    object('Service', {
      type: 'NodePort',
      ports: [{ port: 80, nodePort: 30080 }, { port: 81 }, { port: 53, nodePort: 30053, protocol: 'UDP' }],
    }),
    object('Service', { ports: [{ port: 80 }] }),
    object('DaemonSet', {
      template: { spec: pod({ containerPort: 9, hostPort: 9000 }, { containerPort: 7 }) },
    }),
    object('Pod', pod({ hostPort: 9000 }, { hostPort: 9001 })),
    object('CronJob', { jobTemplate: { spec: { template: { spec: pod({ hostPort: 9002 }) } } } }),
    object('ConfigMap', { ports: 'none', template: [] }),
  ];
  expect(openingsOf({ name: 'till', objects })).toEqual([
    { app: 'till', port: 30080, protocol: 'TCP', board: 'every' },
    { app: 'till', port: 30053, protocol: 'UDP', board: 'every' },
    { app: 'till', port: 9000, protocol: 'TCP', board: 'its own' },
    { app: 'till', port: 9001, protocol: 'TCP', board: 'its own' },
    { app: 'till', port: 9002, protocol: 'TCP', board: 'its own' },
  ]);
});

test('of a folder: all apps by name, without those that cannot be read', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-openings-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ['web', 'till']) {
    const objects = [object('Service', { ports: [{ nodePort: name === 'web' ? 30001 : 30002 }] })];
    writeFileSync(
      join(folder, `${name}.json`),
      renderApp({ version: 1, name, namespace: 'default', objects }),
    );
  }
  writeFileSync(join(folder, 'torn.json'), '{"version":');
  expect((await openingsIn(folder)).map(({ app, port }) => `${app} ${port}`)).toEqual([
    'till 30002',
    'web 30001',
  ]);
  expect(await openingsIn(join(folder, 'none'))).toEqual([]);
});
