// One file out of a Debian package that is not installed: a bootloader, busybox.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackData } from './deb.ts';
import { openLayers } from './layer.ts';
import { readEntry } from './read.ts';

/** The bytes of the file at `path` in a .deb; links are followed. */
export async function readPackaged(deb: string, path: string, signal: AbortSignal): Promise<Uint8Array> {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekiln-deb-'));
  try {
    const tar = join(scratch, 'data.tar');
    await unpackData(deb, tar, signal);
    const tree = openLayers([tar]);
    const content = readEntry(tree, path);
    tree.close();
    return content;
  } finally {
    await rm(scratch, { recursive: true });
  }
}
