import { expect, it } from 'vitest';
import type { Entry } from '../tree/entry.ts';
import { realPath } from './path.ts';

const common = { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: [] };
const folders = ['', 'usr', 'usr/lib', 'usr/lib/modules', 'etc', 'EFI', 'EFI/BOOT'];
const links: Readonly<Record<string, string>> = {
  lib: 'usr/lib',
  'usr/lib/up': '../../etc',
  'etc/all': '/usr/lib/modules',
  'etc/round': 'round',
  'etc/lost': 'nowhere',
};

/** A filesystem that follows no link and takes no notice of capitals; what is at the end goes by its own name. */
const reader = {
  stat(path: string): Entry | undefined {
    const same = (each: string) => each.toLowerCase() === path.toLowerCase();
    const [folder, link] = [folders.find(same), Object.keys(links).find(same)];
    if (folder !== undefined) return { ...common, path: folder, kind: 'directory' };
    return link === undefined
      ? undefined
      : { ...common, path: link, kind: 'symlink', target: links[link] ?? '' };
  },
};

it.each([
  ['/', ''],
  ['', ''],
  ['/lib/modules', 'usr/lib/modules'],
  ['lib/', 'usr/lib'],
  ['lib/up/all/../..', 'usr'],
  ['../../etc', 'etc'],
  ['efi/boot', 'EFI/BOOT'],
  ['etc/round', undefined],
  ['etc/lost', undefined],
  ['usr/none', undefined],
])('%s is %s', (path, real) => {
  expect(realPath(reader, path)).toBe(real);
});
