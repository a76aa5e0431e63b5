// The LAN of a profile as a device's files: what networkd's template is filled with, fixed addresses, the proxy.
import { parseNetwork } from '../profile/network.ts';
import type { Profile } from '../profile/profile.ts';

/** The values of overlays/lan. */
export interface LanTemplate {
  readonly interface: string;
  /** Addresses are fixed, not asked for by DHCP. */
  readonly fixed: boolean;
  /** IPv4 address; '' where there is none. */
  readonly gateway: string;
  readonly dns: readonly string[];
  readonly ntp: readonly string[];
}

export function lanTemplate({ lan }: Profile): LanTemplate {
  return {
    interface: lan.interface,
    fixed: lan.static !== undefined,
    gateway: lan.static?.gateway ?? '',
    dns: lan.dns,
    ntp: lan.ntp,
  };
}

/** Lines of `PLACE ADDRESS/PREFIX`, places counted from 1; '' where DHCP gives the addresses. */
export function addressTable({ lan, devices }: Profile): string {
  const network = parseNetwork(lan.static?.subnet ?? '');
  if (network === undefined) return '';
  return devices.map(({ address }, index) => `${index + 1} ${address}/${network.prefix}\n`).join('');
}

/** What is never reached through a proxy: the device, the cluster, the site addresses and the tunnel to the hub. */
function always({ lan, network }: Profile): string[] {
  return [
    ...['localhost', '127.0.0.0/8', '::1', '.svc', '.cluster.local'],
    ...[network.podCidr, network.serviceCidr, network.siteSubnet ?? '198.18.0.0/15', network.wireguard],
    ...(lan.static === undefined ? [] : [lan.static.subnet]),
  ];
}

/** The environment of services behind a proxy, in the form of systemd's EnvironmentFile=; '' without one. */
export function proxyEnvironment(profile: Profile): string {
  const { proxy } = profile.lan;
  if (proxy === undefined) return '';
  const except = [...always(profile), ...proxy.except].join(',');
  const variables = { HTTP_PROXY: proxy.http, HTTPS_PROXY: proxy.https, NO_PROXY: except };
  return Object.entries(variables)
    .flatMap(([name, value]) => {
      // Programs differ in which of the two they read.
      return value === undefined
        ? []
        : [`${name}=${quote(value)}\n`, `${name.toLowerCase()}=${quote(value)}\n`];
    })
    .join('');
}

function quote(value: string): string {
  return `"${value.replace(/["\\$`]/g, '\\$&')}"`;
}
