// Replacing a file so that a power cut leaves the old one or the new one.
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Owner {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Writes beside, syncs, renames, syncs the folder. The file is closed to others before a byte is in it. */
export async function replaceFile(path: string, bytes: Uint8Array, owner: Owner): Promise<void> {
  const beside = `${path}.new`;
  await rm(beside, { force: true });
  const file = await open(beside, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    if (process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
    await file.chmod(owner.mode);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
