// The `copy` lines of persist.conf, written back to data. The initrd copies them in before PID 1.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type PersistLine, persistFolder } from '../../formats/persist.ts';
import type { Paths } from './paths.ts';
import { replaceFile } from './replace.ts';

/** Larger files are not for copying: they would wear the disk. In bytes. */
const largestCopy = 1024 * 1024;

/**
 * Saves each copied file that is there and differs from what data holds; returns the paths it saved. A file that is
 * gone stays on data: nothing a device once knew is lost by an accident in /etc.
 */
export async function writeBack(lines: readonly PersistLine[], paths: Paths): Promise<string[]> {
  const saved: string[] = [];
  for (const line of lines) {
    if (line.kind !== 'copy') continue;
    const bytes = await readIfThere(join(paths.root, line.path));
    if (bytes === undefined || bytes.length === 0 || bytes.length > largestCopy) continue;
    const kept = join(paths.data, persistFolder, line.path);
    if ((await readIfThere(kept))?.equals(bytes)) continue;
    await mkdir(dirname(kept), { recursive: true, mode: 0o700 });
    await replaceFile(kept, bytes, line);
    saved.push(line.path);
  }
  return saved;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
