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
])('%s is refused', (text, why) => {
  expect(() => parseAgentConfig(text, 'agent.json')).toThrow(
    expect.objectContaining({
      kind: 'input',
      problems: [expect.objectContaining({ why, where: 'agent.json' })],
    }),
  );
});
