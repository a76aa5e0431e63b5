import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadProfile } from '../../builder/profile/load.ts';
import { flashHosts, onlyInImages } from './flash.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-flash-'));
afterAll(() => rmSync(folder, { recursive: true }));

const plain = `apiVersion: edgekiln/v1
site: {name: shop}
board: qemu-x86_64
base: {debian: {suite: trixie}}
k3s: {standIn: true}
devices: [{name: till}, {name: scale}]
`;
const load = (text: string) => {
  const file = join(folder, 'shop.yaml');
  writeFileSync(file, text);
  return loadProfile(file);
};

test('what a host in namespaces cannot have of a profile is named, and nothing where there is nothing', async () => {
  expect(onlyInImages((await load(plain)).profile)).toEqual([]);
  const more = `${plain.replace('suite: trixie', 'suite: trixie, packages: [vim]')}
lan: {interface: enp1s0, ntp: [10.1.0.1]}
files: [{path: /etc/motd, content: hello}]
`;
  expect(onlyInImages((await load(more)).profile)).toEqual(['base.packages', 'files', 'lan.ntp']);
});

test('hosts listen on the one interface they have, whatever the boards call theirs; stamps are their own', async () => {
  const loaded = await load(`${plain}lan: {interface: enp1s0}\n`);
  const places = await flashHosts(loaded, join(folder, 'flashed'), { keysRoot: join(folder, 'keys') });
  expect(places.map(({ name }) => name)).toEqual(['shop-till', 'shop-scale']);
  const config = readFileSync(join(folder, 'flashed/slot/etc/edgekiln/agent.json'), 'utf8');
  expect(JSON.parse(config)).toMatchObject({ lan: { interface: 'eth0' }, k3s: { standIn: true } });
  const stamps = places.map(({ flashed }) => readFileSync(flashed.stamp));
  expect(stamps[0]?.equals(stamps[1] ?? Buffer.alloc(0))).toBe(false);
  expect(places.map(({ flashed }) => statSync(flashed.stamp).mode & 0o777)).toEqual([0o600, 0o600]);
});

test('more hosts than devices are refused', async () => {
  await expect(
    flashHosts(await load(plain), join(folder, 'many'), { keysRoot: join(folder, 'keys'), count: 3 }),
  ).rejects.toThrow('the profile names 2 devices, but 3 hosts are asked for');
});
