// Rules on address ranges and addresses.
import { type Finding, printPath } from '../finding.ts';
import { type Network, overlap, parseAddress, parseNetwork, printNetwork } from '../network.ts';
import type { KeyPath } from '../source.ts';
import type { Rule } from './look.ts';

/** Ranges that must keep apart, with what they are where the profile says nothing. */
const ranges: readonly { path: KeyPath; otherwise?: string }[] = [
  { path: ['network', 'podCidr'], otherwise: '10.42.0.0/16' },
  { path: ['network', 'serviceCidr'], otherwise: '10.43.0.0/16' },
  { path: ['network', 'siteSubnet'], otherwise: '198.18.0.0/15' },
  { path: ['network', 'wireguard'], otherwise: '172.30.16.0/20' },
  { path: ['lan', 'static', 'subnet'] },
];

interface Range {
  readonly path: KeyPath;
  readonly network: Network;
  readonly written: boolean;
}

/** Every pair that overlaps, shown at the one that is written; both are named with their places. */
export const overlaps: Rule = (look) => {
  const known = ranges.flatMap(({ path, otherwise }): Range[] => {
    const written = look.has(path);
    const network = parseNetwork((written ? look.text(path) : otherwise) ?? '');
    return network === undefined ? [] : [{ path, network, written }];
  });
  return known.flatMap((later, index) =>
    known.slice(0, index).flatMap((earlier): Finding[] => {
      if (!overlap(earlier.network, later.network)) return [];
      const [here, other] = later.written ? [later, earlier] : [earlier, later];
      const what = `${name(here)} and ${name(other)} overlap`;
      const why = 'a packet to an address of both could go two ways';
      return [{ at: here.path, what, why, ...(other.written ? { also: other.path } : {}) }];
    }),
  );
};

function name({ path, network, written }: Range): string {
  return `${printPath(path)} ${printNetwork(network)}${written ? '' : ' (where it is left out)'}`;
}

/** Fixed addresses are there for all devices or for none, and lie in the network of the LAN. */
export const addresses: Rule = (look) => {
  const fixed: KeyPath = ['lan', 'static'];
  const network = parseNetwork(look.text([...fixed, 'subnet']) ?? '');
  const devices = look.items(['devices']);
  if (!look.has(fixed)) {
    return devices
      .filter((item) => look.has([...item, 'address']))
      .map((item) => {
        const what = `${printPath(item)}.address goes with lan.static only`;
        return { at: [...item, 'address'], key: true, what, why: 'without it, DHCP gives the addresses' };
      });
  }
  const gatewayPath: KeyPath = [...fixed, 'gateway'];
  const gateway = look.text(gatewayPath);
  const found: Finding[] = devices
    .filter((item) => look.value(item) !== null && !look.has([...item, 'address']))
    .map((item) => ({
      at: item,
      what: `${printPath(item)} has no address`,
      why: 'lan.static gives none out',
    }));
  if (network === undefined) return found;
  const within = [gatewayPath, ...devices.map((item): KeyPath => [...item, 'address'])];
  for (const at of within) {
    const text = look.text(at);
    const address = parseAddress(text ?? '');
    if (text === undefined || address === undefined) continue;
    if (address <= network.first || address >= network.last) {
      const why = `lan.static.subnet is ${printNetwork(network)}, without its first and last address`;
      found.push({ at, what: `${printPath(at)}: ${text} is not an address of the LAN`, why });
    } else if (at !== gatewayPath && text === gateway) {
      found.push({ at, what: `${printPath(at)}: ${text} is the gateway's`, fix: 'give it another one' });
    }
  }
  return found;
};
