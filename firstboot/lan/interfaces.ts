// The network interfaces of the device that lead to a LAN: not those of containers, tunnels and loopback.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { join } from 'node:path';

export interface LanInterface {
  readonly name: string;
  /** A cable or a wireless link is up. */
  readonly carrier: boolean;
  readonly addresses: readonly LanAddress[];
}

export interface LanAddress {
  readonly address: string;
  readonly family: 4 | 6;
  /** Good only on this link: IPv4 169.254/16, IPv6 fe80::/10. */
  readonly linkLocal: boolean;
}

/** The LAN interfaces as they are now, by name. `sysClassNet` is /sys/class/net. */
export function lanInterfaces(
  sysClassNet: string,
  addresses: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): LanInterface[] {
  let names: string[];
  try {
    names = readdirSync(sysClassNet).sort();
  } catch {
    return [];
  }
  return names
    .filter((name) => isLan(name, existsSync(join(sysClassNet, name, 'device'))))
    .map((name) => ({
      name,
      carrier: readCarrier(join(sysClassNet, name, 'carrier')),
      addresses: (addresses[name] ?? []).map(({ address, family }) => ({
        address,
        family: family === 'IPv6' ? 6 : 4,
        linkLocal: isLinkLocal(address),
      })),
    }));
}

const foreign = /^(lo|cni|flannel|veth|docker|br-|kube-ipvs|wg|tun|tap|virbr|cali|dummy)/;

/** An interface with hardware behind it, or with a name that udev gives only to such (eth0 of a namespace, VLANs). */
export function isLan(name: string, hardware: boolean): boolean {
  return !foreign.test(name) && (hardware || /^(en|eth|wl|site0$)/.test(name));
}

export function isLinkLocal(address: string): boolean {
  return /^169\.254\./.test(address) || /^fe[89ab]/i.test(address);
}

/** The kernel refuses to tell for an interface that is switched off. */
function readCarrier(file: string): boolean {
  try {
    return readFileSync(file, 'latin1').trim() === '1';
  } catch {
    return false;
  }
}
