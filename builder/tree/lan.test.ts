import { describe, expect, it } from 'vitest';
import { overlayFolder } from '../installation.ts';
import { parseProfile } from '../profile/load.ts';
import { addressTable, lanTemplate, proxyEnvironment } from './lan.ts';
import { readOverlay } from './overlay.ts';

function profile(lan: string, devices = '{name: one}, {name: two}') {
  const text = `apiVersion: edgekiln/v1\nsite: {name: shop}\nboard: qemu-x86_64\nk3s: {standIn: true}\ndevices: [${devices}]\n${lan}`;
  return parseProfile(Buffer.from(text), 'shop.yaml').profile;
}

async function networkFile(lan: string, devices?: string): Promise<string> {
  const entries = await readOverlay(overlayFolder('lan'), { ...lanTemplate(profile(lan, devices)) }, 0);
  const file = entries.find(({ path }) => path === 'usr/lib/systemd/network/80-edgekiln-lan.network');
  if (file?.kind !== 'file') throw new Error('there is no file for networkd');
  return file.segments
    .map(({ bytes }) => (bytes.at === 'memory' ? Buffer.from(bytes.bytes).toString() : ''))
    .join('');
}

const fixed = `lan:
  interface: enp1s0 eth?
  static: {subnet: 192.168.7.0/24, gateway: 192.168.7.1}
  dns: [192.168.7.1, 9.9.9.9]
  ntp: [time.example.com]
`;
const addressed = '{name: one, address: 192.168.7.11}, {name: two, address: 192.168.7.12}';

describe('the LAN', () => {
  it('asks DHCP where the profile says nothing', async () => {
    const text = await networkFile('');
    expect(text).toContain('[Match]\nName=en* eth*\nType=ether\n');
    expect(text).toContain('[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n');
    expect(addressTable(profile(''))).toBe('');
    expect(proxyEnvironment(profile(''))).toBe('');
  });

  it('has what the profile says', async () => {
    const text = await networkFile(fixed, addressed);
    expect(text).toContain('[Match]\nName=enp1s0 eth?\n');
    expect(text).toContain(
      '[Network]\nDHCP=no\nGateway=192.168.7.1\nDNS=192.168.7.1\nDNS=9.9.9.9\nNTP=time.example.com\nIPv6AcceptRA=yes\n',
    );
    expect(addressTable(profile(fixed, addressed))).toBe('1 192.168.7.11/24\n2 192.168.7.12/24\n');
  });

  it('keeps what is of the cluster from the proxy', () => {
    const proxy = 'lan: {proxy: {http: "http://proxy:3128", except: [.example.com]}}\n';
    const none =
      'localhost,127.0.0.0/8,::1,.svc,.cluster.local,10.42.0.0/16,10.43.0.0/16,198.18.0.0/15,172.30.16.0/20,.example.com';
    expect(proxyEnvironment(profile(proxy))).toBe(
      `HTTP_PROXY="http://proxy:3128"\nhttp_proxy="http://proxy:3128"\nNO_PROXY="${none}"\nno_proxy="${none}"\n`,
    );
  });
});
