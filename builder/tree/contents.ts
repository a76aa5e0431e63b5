// What a profile puts into the image beside the system: files, units, and where containers are pulled from.
import { stat } from 'node:fs/promises';
import { Failure } from '../../formats/errors.ts';
import type { Entry } from './entry.ts';
import { fileEntry } from './overlay.ts';
import { readEntry } from './read.ts';
import type { Tree } from './tree.ts';
import { enablingLinks, type FoundUnit, unitFolder } from './units.ts';

/** A file that is on the build machine, as the entry of a tree. Pipes and devices are refused. */
export async function storedFile(
  path: string,
  file: string,
  attributes: { readonly mode: number; readonly uid?: number; readonly gid?: number; readonly mtime: number },
): Promise<Entry> {
  const state = await stat(file);
  if (!state.isFile()) {
    throw new Failure('input', {
      what: `${file} is not a file`,
      why: `/${path} is to be made of it, and only files and folders go into an image`,
    });
  }
  const { size } = state;
  const segments =
    size === 0 ? [] : [{ offset: 0, bytes: { at: 'file' as const, file, offset: 0, length: size } }];
  return { uid: 0, gid: 0, ...attributes, kind: 'file', path, size, segments };
}

export interface UnitText {
  readonly name: string;
  readonly text: string;
  readonly enable: boolean;
}

/** The units of a profile and the links that enable them; Also= may name units of the base. */
export function unitEntries(units: readonly UnitText[], base: Tree, mtime: number): Entry[] {
  const find = (name: string): FoundUnit | undefined => {
    const own = units.find((unit) => unit.name === name);
    if (own !== undefined) return { text: own.text, path: `/${unitFolder}/${name}` };
    const path = [`${unitFolder}/${name}`, `usr/lib/systemd/system/${name}`].find(
      (one) => base.get(one) !== undefined,
    );
    return path === undefined
      ? undefined
      : { text: readEntry(base, path).toString('utf8'), path: `/${path}` };
  };
  const links = new Map<string, string>();
  for (const { name, enable } of units) {
    if (enable) for (const { path, target } of enablingLinks(name, find)) links.set(path, target);
  }
  return [
    ...units.map(({ name, text }) => fileEntry(`${unitFolder}/${name}`, text, { mode: 0o644, mtime })),
    ...[...links].map(([path, target]) => symlink(path, target, mtime)),
  ];
}

export function symlink(path: string, target: string, mtime: number): Entry {
  return { kind: 'symlink', path, mode: 0o777, uid: 0, gid: 0, mtime, target };
}
