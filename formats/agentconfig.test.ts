import { expect, test } from 'vitest';
import { type AgentConfig, parseAgentConfig, renderAgentConfig } from './agentconfig.ts';

const config: AgentConfig = {
  version: 1,
  site: 'quickstart',
  edgekiln: '0.1.0',
  port: 80,
  k3s: { version: 'v1.36.4+k3s1', standIn: false },
};

test('what the builder writes, the agent reads', () => {
  expect(parseAgentConfig(renderAgentConfig(config))).toEqual(config);
  const { k3s: _, ...without } = config;
  expect(parseAgentConfig(renderAgentConfig(without))).toEqual(without);
});

const whole: AgentConfig = {
  ...config,
  k3s: {
    version: 'v1.36.4+k3s1',
    standIn: false,
    config: { v: 2, 'kubelet-arg': ['max-pods=20'], debug: true },
  },
  servers: { count: 3, promoteAt: 4, replaceAfter: 10 },
  network: { podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16', siteInterface: 'macvlan' },
  lan: { interface: 'en* eth*' },
  nodes: { till: { labels: { 'example.com/role': 'till' }, taints: ['till=yes:NoSchedule'] } },
  limits: { containerLogs: { size: 5 * 1024 ** 2, files: 3 }, images: { high: 75, low: 60 } },
};

test('so with every field', () => {
  expect(parseAgentConfig(renderAgentConfig(whole))).toEqual(whole);
});

test('fields of newer images are left alone', () => {
  expect(parseAgentConfig(JSON.stringify({ ...config, wireguard: {} }))).toEqual(config);
});

test.each([
  ['', 'it is not a JSON object'],
  ['[]', 'it is not a JSON object'],
  [JSON.stringify({ ...config, version: 2 }), 'its version is 2, this agent knows 1'],
  [JSON.stringify({ ...config, site: '' }), 'site is not a name'],
  [JSON.stringify({ ...config, edgekiln: 1 }), 'edgekiln is not a version'],
  [JSON.stringify({ ...config, port: 0 }), 'port is not from 1 to 65535'],
  [JSON.stringify({ ...config, k3s: { version: 'v1' } }), 'k3s is not {version, standIn}'],
  [
    JSON.stringify({ ...config, k3s: { ...whole.k3s, config: { v: null } } }),
    'k3s is not {version, standIn}',
  ],
  [
    JSON.stringify({ ...whole, servers: { ...whole.servers, count: 2 } }),
    'servers is not {count, promoteAt, replaceAfter}',
  ],
  [
    JSON.stringify({ ...whole, network: { podCidr: '10.42.0.0/16' } }),
    'network is not {podCidr, serviceCidr, siteInterface}',
  ],
  [JSON.stringify({ ...whole, lan: { interface: 7 } }), 'lan is not {interface}'],
  [JSON.stringify({ ...whole, nodes: { till: { labels: {} } } }), 'nodes is not labels and taints by device'],
  [
    JSON.stringify({ ...whole, limits: { ...whole.limits, images: { high: 60, low: 75 } } }),
    'limits is not {containerLogs, images}',
  ],
])('%s is refused', (text, why) => {
  expect(() => parseAgentConfig(text, 'agent.json')).toThrow(
    expect.objectContaining({
      kind: 'input',
      problems: [expect.objectContaining({ why, where: 'agent.json' })],
    }),
  );
});
