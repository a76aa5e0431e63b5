// A package repository for one run of mmdebstrap: the .debs of the store and their index.
import { constants } from 'node:fs';
import { chmod, copyFile, link, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { controlOf } from '../../tree/deb.ts';
import type { Deb } from '../lock.ts';
import type { Store } from '../store.ts';
import { indexParagraph, initrdPackage } from './initrd-package.ts';

/** What is needed to find a .deb in the store, and to name it. */
export type StoredDeb = Pick<Deb, 'name' | 'version' | 'sha256'>;

/**
 * Fills an empty folder and returns the names of the packages in it: the given ones, and the one that stands for an
 * initrd maker. Files are named by digest, and linked where the folder is on the store's filesystem, else copied.
 */
export async function writeRepository(
  folder: string,
  debs: readonly StoredDeb[],
  store: Store,
): Promise<string[]> {
  const initrd = await initrdPackage();
  await writeReadable(join(folder, initrd.file), initrd.bytes);
  const paragraphs = [initrd.paragraph];
  for (const deb of debs) {
    const stored = await store.need(deb.sha256, `${deb.name} ${deb.version}`);
    const file = `${deb.sha256}.deb`;
    const place = join(folder, file);
    await link(stored, place).catch(() => copyFile(stored, place, constants.COPYFILE_FICLONE));
    const { size } = await stat(stored);
    paragraphs.push(indexParagraph(await controlOf(stored), file, size, deb.sha256));
  }
  await writeReadable(join(folder, 'Packages'), paragraphs.join('\n'));
  return [initrd.name, ...debs.map((deb) => deb.name)];
}

/** Readable by everybody whatever the umask: root of a user namespace is somebody else here. */
async function writeReadable(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(file, content);
  await chmod(file, 0o644);
}
