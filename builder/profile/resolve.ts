// From what a valid profile says to what the builder works with: alternatives become kinds, sizes bytes, paths absolute.
import { resolve as resolvePath } from 'node:path';
import type { PersistLine } from '../../formats/persist.ts';
import type { App, Base, Contents, Device, Formation, ImageFile, K3s, Profile } from './profile.ts';
import { chooseElectors, hostname } from './rules/devices.ts';
import type { Written } from './schema/profile.ts';
import { parseSize } from './size.ts';

type Item<Key extends 'files' | 'units' | 'persist' | 'apps'> = Written[Key][number];

/** `written` has passed the schema and the rules; `folder` is where the profile is. */
export function resolveProfile(written: Written, folder: string): Profile {
  const { lan, limits, servers, system } = written;
  const devices = resolveDevices(written);
  return deepFreeze({
    site: written.site,
    base: resolveBase(written.base, folder),
    k3s: resolveK3s(written.k3s, folder),
    devices,
    formation: resolveFormation(written.formation),
    servers: {
      count: servers.count ?? (devices.filter((device) => device.eligible).length >= 3 ? 3 : 1),
      promoteAt: servers.promoteAt,
      replaceAfter: Number.parseInt(servers.replaceAfter, 10) * 60,
    },
    lan: compact({
      ...lan,
      static: lan.static === undefined ? undefined : compact(lan.static),
      proxy: lan.proxy === undefined ? undefined : compact(lan.proxy),
    }),
    network: compact(written.network),
    ...compact({ registries: written.registries }),
    apps: written.apps.map((app) => resolveApp(app, folder)),
    users: written.users.map(compact),
    system: { timezone: system.timezone, locale: system.locale },
    files: written.files.map((file) => resolveFile(file, folder)),
    units: written.units.map((unit) => {
      return { name: unit.name, contents: resolveContents(unit, folder), enable: unit.enable };
    }),
    persist: written.persist.map(resolveKept),
    limits: {
      journal: bytes(limits.journal),
      containerLogs: { size: bytes(limits.containerLogs.size), files: limits.containerLogs.files },
      images: limits.images,
    },
    slots: written.slots.size === undefined ? {} : { size: bytes(written.slots.size) },
    disk: written.disk.size === undefined ? {} : { size: bytes(written.disk.size) },
    outputs: written.outputs,
  });
}

function resolveDevices(written: Written): Device[] {
  const electors = chooseElectors(written.devices.map((device) => device.elector));
  return written.devices.map((device, index) => {
    const board = device.board ?? written.board;
    if (board === undefined) throw new Error(`device ${device.name} has no board, which the rules refuse`);
    return compact({
      ...device,
      hostname: hostname(written.system.hostname, written.site.name, device.name),
      board,
      failureDomain: device.failureDomain ?? device.name,
      elector: electors[index] === true,
    });
  });
}

function resolveBase({ debian, tarball }: Written['base'], folder: string): Base {
  if (tarball !== undefined) {
    return { kind: 'tarball', path: resolvePath(folder, tarball.path), sha256: tarball.sha256 };
  }
  if (debian === undefined) throw new Error('a base without a kind, which the rules refuse');
  return { kind: 'debian', ...compact(debian) };
}

function resolveK3s({ release, file, sha256, images = [], config }: Written['k3s'], folder: string): K3s {
  if (release !== undefined) return { kind: 'release', release, config };
  if (file !== undefined && sha256 !== undefined) {
    const archives = images.map((path) => resolvePath(folder, path));
    return { kind: 'file', path: resolvePath(folder, file), sha256, images: archives, config };
  }
  return { kind: 'standIn', config };
}

function resolveFormation({ policy, founder, onFounderLoss }: Written['formation']): Formation {
  if (policy === 'first-online') return { policy, onFounderLoss };
  if (policy === 'majority') return { policy };
  if (founder === undefined) throw new Error('policy designated without a founder, which the rules refuse');
  return { policy, founder };
}

function resolveApp({ name, namespace, manifests, chart, images, needs }: Item<'apps'>, folder: string): App {
  const absolute = (path: string) => resolvePath(folder, path);
  const common = { name, namespace, images: images.map(absolute), needs };
  if (chart === undefined) {
    return { ...common, source: { kind: 'manifests', paths: (manifests ?? []).map(absolute) } };
  }
  const { path, values = {}, valuesFrom } = chart;
  const from = valuesFrom === undefined ? {} : { valuesFrom: absolute(valuesFrom) };
  return { ...common, source: { kind: 'chart', path: absolute(path), values, ...from } };
}

function resolveFile(file: Item<'files'>, folder: string): ImageFile {
  const contents = resolveContents(file, folder);
  return { path: file.path, contents, ...permissions(file) };
}

function resolveKept(line: Item<'persist'>): PersistLine {
  return { kind: line.kind, path: line.path, ...permissions(line) };
}

function resolveContents(written: Item<'files'> | Item<'units'>, folder: string): Contents {
  if (written.from !== undefined) return { at: 'file', path: resolvePath(folder, written.from) };
  return { at: 'profile', text: written.content ?? '' };
}

function permissions({ mode, owner }: { mode: string; owner: string }) {
  const [uid, gid] = owner.split(':').map(Number);
  return { mode: Number.parseInt(mode, 8), uid: uid ?? 0, gid: gid ?? 0 };
}

function bytes(size: string): number {
  const number = parseSize(size);
  if (number === undefined) throw new Error(`${size} is no size, which the schema refuses`);
  return number;
}

/** Keys that are left out are absent, not undefined. */
type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function compact<T extends object>(value: T): Compact<T>;
function compact(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

/** Nothing changes a profile once it is loaded. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
