// Rules on what is put into the image, and on paths of the build machine.
import { relative, resolve } from 'node:path';
import { Failure } from '../../../formats/errors.ts';
import { defaultPersist, parsePersist, persistFile, renderPersist } from '../../../formats/persist.ts';
import { enablingLinks } from '../../tree/units.ts';
import { type Finding, printPath } from '../finding.ts';
import type { KeyPath } from '../source.ts';
import { expand, type Look, type Rule } from './look.ts';

/** Where a profile names paths of the build machine; `*` is every item of a list. */
export const pathKeys: readonly (readonly string[])[] = [
  ['base', 'tarball', 'path'],
  ['k3s', 'file'],
  ['k3s', 'images', '*'],
  ['files', '*', 'from'],
  ['units', '*', 'from'],
  ['apps', '*', 'manifests', '*'],
  ['apps', '*', 'chart', 'path'],
  ['apps', '*', 'chart', 'valuesFrom'],
  ['apps', '*', 'images', '*'],
];

/** A path of the build machine that a profile names. */
export interface NamedPath {
  readonly at: KeyPath;
  /** As it is written, and absolute. */
  readonly text: string;
  readonly path: string;
  /** Whether it may be a folder. */
  readonly folder: boolean;
}

/** All that are right in themselves. */
export function namedPaths(look: Look): NamedPath[] {
  return pathKeys
    .flatMap((pattern) => expand(look, pattern))
    .flatMap((at): NamedPath[] => {
      const text = look.text(at);
      if (text === undefined) return [];
      return [
        { at, text, path: resolve(look.folder, text), folder: at.at(-2) === 'chart' && at.at(-1) === 'path' },
      ];
    });
}

/** A path leads out of the profile's folder only into folders that the profile names. */
export const pathsStay: Rule = (look) => {
  const named = look.items(['folders']).flatMap((at) => look.text(at) ?? []);
  const folders = ['.', ...named].map((folder) => resolve(look.folder, folder));
  return namedPaths(look)
    .filter(({ path }) => !folders.some((folder) => inside(folder, path)))
    .map(({ at, text }) => {
      const what = `${printPath(at)}: ${text} leads out of the folder of the profile`;
      const why = 'a profile says which other folders it takes files from';
      return { at, what, why, fix: 'add the folder to folders:, or move the file' };
    });
};

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../');
}

/** Files that edgekiln writes itself, and filesystems that are not in an image. */
const owned: readonly { path: string; why: string }[] = [
  { path: '/etc/edgekiln', why: 'it is what the agent is told' },
  { path: '/etc/rancher', why: 'the agent writes the configuration of k3s anew at every boot' },
  { path: '/etc/machine-id', why: 'every device makes its own' },
  { path: '/etc/hostname', why: 'it is written by system.hostname' },
  { path: '/etc/passwd', why: 'it is written by users' },
  { path: '/etc/shadow', why: 'it is written by users' },
  { path: '/etc/group', why: 'it is written by users' },
  { path: '/etc/localtime', why: 'it is written by system.timezone' },
  { path: '/usr/lib/edgekiln', why: 'the agent is there' },
  { path: '/boot', why: 'kernel and initrd are there, and the boot script knows them by name' },
  { path: '/proc', why: 'the kernel makes it' },
  { path: '/sys', why: 'the kernel makes it' },
  { path: '/dev', why: 'the kernel makes it' },
  { path: '/run', why: 'it is empty at every boot' },
  { path: '/tmp', why: 'it is empty at every boot' },
];

export const ownedFiles: Rule = (look) =>
  look.items(['files']).flatMap((item): Finding[] => {
    const at = [...item, 'path'];
    const path = look.text(at);
    const owner = owned.find((each) => path === each.path || path?.startsWith(`${each.path}/`));
    if (owner === undefined) return [];
    return [{ at, what: `${printPath(at)}: ${path} is not for the profile to write`, why: owner.why }];
  });

/** What the image holds in a folder that is kept on data would never be seen. */
export const hiddenFiles: Rule = (look) => {
  const own = look.items(['persist']).filter((item) => look.text([...item, 'kind']) !== 'copy');
  const folders = [
    ...defaultPersist.filter((line) => line.kind === 'dir').map((line) => line.path),
    ...own.flatMap((item) => look.text([...item, 'path']) ?? []),
  ];
  return look.items(['files']).flatMap((item): Finding[] => {
    const at = [...item, 'path'];
    const path = look.text(at);
    const folder = folders.find((each) => path === each || path?.startsWith(`${each}/`));
    if (folder === undefined) return [];
    const why = `${folder} is kept on the data partition, which hides what the image holds there`;
    return [{ at, what: `${printPath(at)}: ${path} would never be seen`, why }];
  });
};

/** Names of units of k3s and of the agent. */
const foreignUnit = /^(k3s|edgekiln)([.@-]|$)/;

/** Units that are not the profile's. */
export const ownUnits: Rule = (look) =>
  look.items(['units']).flatMap((item): Finding[] => {
    const at = [...item, 'name'];
    const name = look.text(at);
    if (name === undefined || !foreignUnit.test(name)) return [];
    const why = 'a k3s that starts by itself could found a second cluster';
    return [{ at, what: `${printPath(at)}: ${name} is not for the profile to write`, why }];
  });

/** A unit that is to be enabled must say how. What it names with Also= may be of the base, which is not there yet. */
export const enabledUnits: Rule = (look) => {
  const units = look.items(['units']);
  const textOf = (name: string) => {
    const item = units.find((one) => look.text([...one, 'name']) === name);
    return item === undefined ? undefined : look.text([...item, 'content']);
  };
  return units.flatMap((item): Finding[] => {
    const name = look.text([...item, 'name']);
    const text = look.text([...item, 'content']);
    if (name === undefined || text === undefined || foreignUnit.test(name)) return [];
    if (look.flag([...item, 'enable']) === false) return [];
    try {
      enablingLinks(name, (unit) => ({
        text: textOf(unit) ?? '[Install]\nWantedBy=default.target',
        path: unit,
      }));
      return [];
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.problems.map(({ what, why, fix }) => {
        const more = { ...(why === undefined ? {} : { why }), ...(fix === undefined ? {} : { fix }) };
        return { at: [...item, 'name'], what: `${printPath(item)}: ${what}`, ...more };
      });
    }
  });
};

/** Paths that come from the slot or the kernel at every boot: never kept as folders. */
const imageOwned =
  /^\/(usr|bin|sbin|lib\w*|boot|dev|proc|sys|run|tmp|etc\/(edgekiln|systemd|ssh|passwd|shadow|group|gshadow))(\/|$)/;

/** What is kept must fit the list of what is kept always; the reader of that list decides. */
export const kept: Rule = (look) => {
  const before = [...defaultPersist];
  return look.items(['persist']).flatMap((item): Finding[] => {
    const at = [...item, 'path'];
    const path = look.text(at);
    if (path === undefined) return [];
    const line = {
      kind: look.text([...item, 'kind']) === 'copy' ? 'copy' : 'dir',
      path,
      mode: 0o755,
      uid: 0,
      gid: 0,
    } as const;
    if (line.kind === 'dir' && imageOwned.test(path)) {
      const why = 'an update would be hidden by what was kept';
      return [
        {
          at,
          what: `${printPath(at)}: ${path} belongs to the image`,
          why,
          fix: 'keep a folder of your own, such as /srv/till',
        },
      ];
    }
    if (line.kind === 'copy' && !/^\/(etc|var)\//.test(path)) {
      const why = 'a file is copied in at every boot, and only /etc and /var can be written then';
      const fix = 'keep its folder, with kind: dir';
      return [{ at, what: `${printPath(at)}: ${path} cannot be kept as a copy`, why, fix }];
    }
    if (before.some((each) => each.path === path && !defaultPersist.includes(each))) return []; // said by onceOnly
    try {
      parsePersist(renderPersist([...before, line]), persistFile);
      before.push(line);
      return [];
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return error.problems.map(({ what }) => ({ at, what: `${printPath(at)}: ${what}` }));
    }
  });
};

/** Removing images must end somewhere below where it starts. */
export const imageLimits: Rule = (look) => {
  const [high, low] = [
    ['limits', 'images', 'high'],
    ['limits', 'images', 'low'],
  ] as const;
  const most = look.has(high) ? look.number(high) : 75;
  const least = look.has(low) ? look.number(low) : 60;
  if (most === undefined || least === undefined || least < most) return [];
  const at = look.has(low) ? low : high;
  return [{ at, what: `limits.images: low is ${least} and high ${most}`, why: 'low must be less than high' }];
};
