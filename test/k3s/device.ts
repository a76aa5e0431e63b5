// What the agent does with the files of k3s on a device, as a program for a host of these tests: `make` a cluster that
// nobody has started, apply `apps`, `look` whether the stopped one is empty, `retire` it.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { Api } from '../../firstboot/k3s/api.ts';
import { applyApps } from '../../firstboot/k3s/apps.ts';
import { removeContainers } from '../../firstboot/k3s/containers.ts';
import { inspect } from '../../firstboot/k3s/inspection.ts';
import { k3sPaths } from '../../firstboot/k3s/paths.ts';
import { isCgroupV1, writeConfig } from '../../firstboot/k3s/prepare.ts';
import { criticalOptions } from '../../firstboot/k3s/settings.ts';
import { makeStore, readStore, setAside, writeStore } from '../../firstboot/k3s/store.ts';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { renderApp } from '../../formats/app.ts';
import { place } from '../../formats/roster.ts';

const [verb, name = '', address = ''] = process.argv.slice(2);
const paths = { ...k3sPaths('/'), program: process.env['K3S'] ?? '' };
const settings = { 'flannel-backend': 'none', 'disable-network-policy': true, 'disable-kube-proxy': true };
const config: AgentConfig = {
  version: 1,
  site: 'contract',
  edgekiln: '0',
  port: 80,
  k3s: { version: 'given', standIn: false, config: { ...settings, 'kubelet-arg': ['fail-swap-on=false'] } },
};
const node = { name, address, interface: 'eth0', labels: {}, taints: [], cgroupV1: isCgroupV1() };
const store = await readStore(paths);

if (verb === 'make') {
  const made = await makeStore(paths, place(1), criticalOptions(config));
  await writeConfig(paths, config, node, made, true);
  process.stdout.write(made.identity.ca);
} else if (store === undefined) {
  throw new Error('there is no cluster');
} else if (verb === 'look') {
  // As after its first READY: the permit to found is spent.
  await writeStore(paths, { ...store, ready: true });
  await writeConfig(paths, config, node, store, false);
  process.stdout.write((await inspect(paths, true)) ?? 'empty');
} else if (verb === 'apps') {
  // Twice: the second image has one object less and another content.
  const api = await Api.open(paths.adminConfig);
  const folder = '/run/apps';
  await mkdir(folder, { recursive: true });
  const said: unknown[] = [];
  for (const names of [['one', 'two'], ['one']]) {
    const map = { apiVersion: 'v1', kind: 'ConfigMap', data: { of: String(names.length) } };
    const objects = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'till' } },
      ...names.map((called) => ({ ...map, metadata: { name: called } })),
    ];
    const app = { version: 1, name: 'till', namespace: 'till', objects } as const;
    writeFileSync(`${folder}/till.json`, renderApp(app));
    await applyApps(api, folder, false);
    const found = await api.list('/api/v1/namespaces/till/configmaps?labelSelector=edgekiln.io%2Fapp');
    said.push(found.map(({ metadata, data }) => [Object(metadata).name, Object(data).of]));
  }
  api.close();
  process.stdout.write(JSON.stringify(said));
} else if (verb === 'retire') {
  // As pods leave it that nobody stopped.
  for (const path of ['/var/lib/kubelet/pods/one', '/var/lib/kubelet/pods/one/volumes']) {
    await mkdir(path, { recursive: true });
    execFileSync('mount', ['-n', '-t', 'tmpfs', 'none', path]);
  }
  if (!existsSync('/sys/class/net/cni0')) execFileSync('ip', ['link', 'add', 'cni0', 'type', 'bridge']);
  await removeContainers();
  const left = /kubelet\/pods/.test(readFileSync('/proc/self/mountinfo', 'utf8'));
  if (left || Object.keys(networkInterfaces()).includes('cni0')) throw new Error('something is left');
  await setAside(paths, store.identity.cluster);
  process.stdout.write(store.identity.cluster);
}
