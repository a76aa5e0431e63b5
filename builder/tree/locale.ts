// One locale out of Debian's package locales-all, which holds all of them made ready.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { unpackData } from './deb.ts';
import type { Entry } from './entry.ts';
import { openLayers } from './layer.ts';
import { fileEntry } from './overlay.ts';
import { readEntry } from './read.ts';

const folder = 'usr/lib/locale';

/** The files of a locale such as `de_DE.UTF-8`. Locales share them by links in the package; here they are files. */
export async function localeEntries(
  deb: string,
  locale: string,
  mtime: number,
  signal: AbortSignal,
): Promise<Entry[]> {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekiln-locale-'));
  try {
    const tar = join(scratch, 'data.tar');
    await unpackData(deb, tar, signal);
    const tree = openLayers([tar]);
    const own = `${folder}/${locale.replace(/\.UTF-8$/, '.utf8')}`;
    const entries = [...tree.entries()].flatMap(({ path, kind }): Entry[] => {
      if (!path.startsWith(`${own}/`) || kind === 'directory') return [];
      return [fileEntry(path, readEntry(tree, path), { mode: 0o644, mtime })];
    });
    tree.close();
    if (entries.length > 0) return entries;
    throw new Failure('input', {
      what: `there is no locale ${locale}`,
      why: `Debian's package locales-all has no ${own.slice(folder.length + 1)}`,
      fix: 'write another one into system.locale, such as C.UTF-8 or de_DE.UTF-8',
    });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
