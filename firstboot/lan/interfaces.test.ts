import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isLan, isLinkLocal, lanInterfaces } from './interfaces.ts';

test.each([
  ['eth0', false, true],
  ['enp3s0', true, true],
  ['end0', true, true],
  ['lan-port', true, true],
  ['wlan0', true, true],
  ['site0', false, true],
  ['lo', false, false],
  ['cni0', false, false],
  ['flannel.1', false, false],
  ['veth1a2b', false, false],
  ['docker0', false, false],
  ['kube-ipvs0', false, false],
  ['wg0', false, false],
  ['dummy0', false, false],
  ['whatever', false, false],
])('%s (hardware: %s) is of the LAN: %s', (name, hardware, lan) => {
  expect(isLan(name, hardware)).toBe(lan);
});

test.each([
  ['169.254.3.4', true],
  ['fe80::1', true],
  ['FEBF::1', true],
  ['192.168.1.1', false],
  ['fec0::1', false],
  ['2001:db8::1', false],
])('%s is link-local: %s', (address, linkLocal) => {
  expect(isLinkLocal(address)).toBe(linkLocal);
});

test('carrier and addresses come from the kernel; no sysfs, no interface', () => {
  const sys = mkdtempSync(join(tmpdir(), 'edgekiln-net-'));
  onTestFinished(() => rmSync(sys, { recursive: true }));
  for (const [name, carrier] of [
    ['eth0', '1\n'],
    ['eth1', '0\n'],
    ['eth2', undefined],
    ['cni0', '1\n'],
  ] as const) {
    mkdirSync(join(sys, name));
    if (carrier !== undefined) writeFileSync(join(sys, name, 'carrier'), carrier);
  }
  const info = (address: string, family: 'IPv4' | 'IPv6'): NetworkInterfaceInfo => {
    const common = { address, netmask: '', mac: '', internal: false, cidr: null };
    return family === 'IPv4' ? { ...common, family } : { ...common, family, scopeid: 2 };
  };
  const addresses = {
    eth0: [info('10.0.0.5', 'IPv4'), info('fe80::5', 'IPv6')],
    cni0: [info('10.42.0.1', 'IPv4')],
  };
  expect(lanInterfaces(sys, addresses)).toEqual([
    {
      name: 'eth0',
      carrier: true,
      addresses: [
        { address: '10.0.0.5', family: 4, linkLocal: false },
        { address: 'fe80::5', family: 6, linkLocal: true },
      ],
    },
    { name: 'eth1', carrier: false, addresses: [] },
    { name: 'eth2', carrier: false, addresses: [] },
  ]);
  expect(lanInterfaces(join(sys, 'nowhere'), addresses)).toEqual([]);
});
