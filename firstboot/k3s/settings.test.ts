import { expect, test } from 'vitest';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { place } from '../../formats/roster.ts';
import type { ClusterId, Hash } from '../protocol/terms.ts';
import { criticalOptions, k3sEnvironment, k3sOptions, type Node, refuseOthers } from './settings.ts';
import type { Store } from './store.ts';

const identity = { cluster: '0123456789ab' as ClusterId, ca: 'ab'.repeat(32) as Hash, founder: place(1) };
const node: Node = {
  name: 'shop-01',
  address: '198.18.7.1',
  interface: 'site0',
  labels: { room: 'cellar' },
  taints: ['till=yes:NoSchedule'],
  cgroupV1: false,
};
const files = { serverToken: '/s', agentToken: '/a', joinToken: '/j' };
const config: AgentConfig = {
  version: 1,
  site: 'quickstart',
  edgekiln: '0.1.0',
  port: 80,
  network: { podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16', siteInterface: 'macvlan' },
  limits: { containerLogs: { size: 10_485_760, files: 3 }, images: { high: 85, low: 80 } },
  k3s: {
    version: 'v1.36.4+k3s1',
    standIn: false,
    config: {
      disable: ['traefik'],
      'kubelet-arg': ['max-pods=50'],
      'tls-san': ['till.example'],
      'kube-apiserver-arg': ['v=1'],
      debug: true,
      'cluster-dns': '10.43.0.10',
    },
  },
};
const founder: Store = {
  identity,
  role: 'founder',
  ready: false,
  servers: [],
  critical: criticalOptions(config),
};

test('the founder uses its permit once, and names its secrets by their files', () => {
  const options = k3sOptions(config, node, founder, files, true);
  expect(options).toEqual({
    debug: true,
    'kube-apiserver-arg': ['v=1'],
    disable: ['traefik'],
    'disable-helm-controller': true,
    'disable-cloud-controller': true,
    'cluster-cidr': '10.42.0.0/16',
    'service-cidr': '10.43.0.0/16',
    'cluster-dns': '10.43.0.10',
    'node-name': 'shop-01',
    'node-ip': '198.18.7.1',
    'flannel-iface': 'site0',
    'node-label': ['room=cellar'],
    'node-taint': ['till=yes:NoSchedule'],
    'kubelet-arg': [
      'container-log-max-size=10240Ki',
      'container-log-max-files=3',
      'image-gc-high-threshold=85',
      'image-gc-low-threshold=80',
      'max-pods=50',
    ],
    'advertise-address': '198.18.7.1',
    'tls-san': ['till.example', 'shop-01', 'shop-01.local'],
    'token-file': '/s',
    'agent-token-file': '/a',
    'write-kubeconfig-mode': '0600',
    'cluster-init': true,
  });
  expect(k3sOptions(config, node, founder, files, false)['cluster-init']).toBeUndefined();
});

test('an agent has its own token and nothing that only servers know', () => {
  const agent: Store = { ...founder, role: 'agent', servers: ['https://198.18.7.2:6443'], critical: {} };
  const options = k3sOptions(config, node, agent, files, false);
  expect(options).toMatchObject({ 'token-file': '/j', server: 'https://198.18.7.2:6443', debug: true });
  const names = Object.keys(options);
  for (const name of [
    'disable',
    'tls-san',
    'cluster-cidr',
    'kube-apiserver-arg',
    'agent-token-file',
    'cluster-init',
  ])
    expect(names).not.toContain(name);
});

test("a promoted server takes the cluster's critical options, not those of its own image", () => {
  const critical = { disable: ['servicelb'], 'flannel-backend': 'none' };
  const server: Store = { ...founder, role: 'server', servers: ['https://198.18.7.2:6443'], critical };
  const options = k3sOptions(config, { ...node, cgroupV1: true }, server, files, false);
  expect(options).toMatchObject({ disable: ['servicelb'], 'flannel-backend': 'none' });
  expect(options['cluster-dns']).toBeUndefined();
  expect(options['flannel-iface']).toBeUndefined();
  expect(options['kubelet-arg']).toContain('fail-cgroupv1=false');
});

test('what this image would found with is what another one takes', () => {
  expect(() => refuseOthers(criticalOptions(config))).not.toThrow();
  expect(() => refuseOthers({ ...criticalOptions(config), 'data-dir': '/' })).toThrow(
    'data-dir is no option',
  );
});

test('a small board collects garbage earlier', () => {
  expect(k3sEnvironment(1024 ** 3)).toBe('GOGC=50\nGOMEMLIMIT=461MiB\n');
  expect(k3sEnvironment(4 * 1024 ** 3)).toBe('');
});
