import { expect, it } from 'vitest';
import { parseAgentConfig, renderAgentConfig } from '../../formats/agentconfig.ts';
import { parseProfile } from '../profile/load.ts';
import { agentConfigOf } from './agent.ts';

it('tells the agent what the profile says, in a form that it reads', () => {
  const { profile } = parseProfile(
    Buffer.from(`apiVersion: edgekiln/v1
site: {name: shop}
board: qemu-x86_64
k3s: {standIn: true, config: {debug: true, kubelet-arg: [max-pods=20]}}
devices: [{name: one, labels: {example.com/role: till}, taints: ['till=yes:NoSchedule']}, {name: two}]
servers: {replaceAfter: 30m}
lan: {interface: enp1s0}
network: {podCidr: 10.52.0.0/16, siteInterface: address}
limits: {containerLogs: {size: 1MiB, files: 2}, images: {high: 80, low: 70}}
`),
    'shop.yaml',
  );
  const config = agentConfigOf(profile, { version: 'stand-in', standIn: true });
  expect(parseAgentConfig(renderAgentConfig(config))).toEqual(config);
  expect(config).toMatchObject({
    site: 'shop',
    k3s: { version: 'stand-in', config: { debug: true, 'kubelet-arg': ['max-pods=20'] } },
    servers: { count: 1, promoteAt: 3, replaceAfter: 30 },
    network: { podCidr: '10.52.0.0/16', serviceCidr: '10.43.0.0/16', siteInterface: 'address' },
    lan: { interface: 'enp1s0' },
    limits: { containerLogs: { size: 1024 ** 2, files: 2 }, images: { high: 80, low: 70 } },
  });
  expect(config.nodes).toEqual({
    // A node goes by its host name.
    'shop-one': { labels: { 'example.com/role': 'till' }, taints: ['till=yes:NoSchedule'] },
  });
});
