// From what a valid profile says to what the builder works with: alternatives become kinds, sizes bytes, paths absolute.
import { resolve as resolvePath } from 'node:path';
import type { Base, Device, Formation, K3s, Profile } from './profile.ts';
import { hostname } from './rules.ts';
import type { Written } from './schema/profile.ts';
import { parseSize } from './size.ts';

/** `written` has passed the schema and the rules; `folder` is where the profile is. */
export function resolveProfile(written: Written, folder: string): Profile {
  const devices = written.devices.map((device) => resolveDevice(device, written));
  return deepFreeze({
    site: written.site,
    base: resolveBase(written.base, folder),
    k3s: resolveK3s(written.k3s, folder),
    devices,
    formation: resolveFormation(written.formation),
    servers: {
      count: written.servers.count ?? (devices.filter((device) => device.eligible).length >= 3 ? 3 : 1),
      promoteAt: written.servers.promoteAt,
    },
    network: compact(written.network),
    users: written.users.map(compact),
    system: { timezone: written.system.timezone, locale: written.system.locale },
    slots: resolveSize(written.slots.size),
    disk: resolveSize(written.disk.size),
    outputs: written.outputs,
  });
}

function resolveDevice(device: Written['devices'][number], written: Written): Device {
  const board = device.board ?? written.board;
  if (board === undefined) throw new Error(`device ${device.name} has no board, which the rules refuse`);
  return compact({
    name: device.name,
    hostname: hostname(written.system.hostname, written.site.name, device.name),
    board,
    hardware: device.hardware,
    failureDomain: device.failureDomain ?? device.name,
    eligible: device.eligible,
  });
}

function resolveBase({ debian, tarball }: Written['base'], folder: string): Base {
  if (tarball !== undefined) {
    return { kind: 'tarball', path: resolvePath(folder, tarball.path), sha256: tarball.sha256 };
  }
  if (debian === undefined) throw new Error('a base without a kind, which the rules refuse');
  return { kind: 'debian', ...compact(debian) };
}

function resolveK3s({ release, file, sha256 }: Written['k3s'], folder: string): K3s {
  if (release !== undefined) return { kind: 'release', release };
  if (file !== undefined && sha256 !== undefined) {
    return { kind: 'file', path: resolvePath(folder, file), sha256 };
  }
  return { kind: 'standIn' };
}

function resolveFormation({ policy, founder }: Written['formation']): Formation {
  if (policy !== 'designated') return { policy };
  if (founder === undefined) throw new Error('policy designated without a founder, which the rules refuse');
  return { policy, founder };
}

function resolveSize(size: string | undefined): { size?: number } {
  const bytes = size === undefined ? undefined : parseSize(size);
  return bytes === undefined ? {} : { size: bytes };
}

/** Keys that are left out are absent, not undefined. */
type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function compact<T extends object>(value: T): Compact<T>;
function compact(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
