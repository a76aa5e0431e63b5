// What k3s writes without a sync: certificates, keys, tokens, small files all of them. A power cut within half a minute
// behind its start leaves them empty, and k3s does not start with empty ones: seen with two servers of three, which is
// the end of a cluster. So they are brought to the disk while k3s starts, and once more when it works. What a cut in the
// second between two looks empties all the same is removed before the next start: k3s ends at once where a file of a
// server is another than its store has, and makes anew what is not there (measured with v1.36.3, also where all three
// servers of a cluster had lost all of them).
import { open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { K3sPaths } from './paths.ts';

/** Folders that have a sync of their own, or hold what can be had again. */
const others = new Set(['db', 'containerd', 'images', 'logs', 'pod-manifests', 'static']);

/** Syncs what lies in the folders of server and agent. Files that go meanwhile are nothing to be kept. */
export async function syncWritten({ dataDir }: Pick<K3sPaths, 'dataDir'>): Promise<void> {
  await walk(dataDir, async (files, folder) => {
    for (const path of files) await syncPath(path);
    await syncPath(folder);
  });
}

/** Removes empty files from there, for k3s that is about to start. How many. */
export async function removeEmptied({ dataDir }: Pick<K3sPaths, 'dataDir'>): Promise<number> {
  let removed = 0;
  await walk(dataDir, async (files, folder) => {
    // An empty NAME.skip beside a manifest is a person's word.
    if (folder.endsWith('/manifests')) return;
    for (const path of files) {
      if ((await stat(path)).size > 0) continue;
      await unlink(path);
      removed += 1;
    }
  });
  return removed;
}

type Visit = (files: readonly string[], folder: string) => Promise<void>;

/** Each folder below those of server and agent that is not empty, its files with it, after the folders in it. */
async function walk(dataDir: string, visit: Visit): Promise<void> {
  for (const name of ['server', 'agent']) await walkFolder(join(dataDir, name), visit);
}

async function walkFolder(folder: string, visit: Visit): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries)
    if (entry.isDirectory() && !others.has(entry.name)) await walkFolder(join(folder, entry.name), visit);
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
  if (entries.length > 0) await visit(files, folder);
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r').catch(() => undefined);
  try {
    await file?.sync();
  } finally {
    await file?.close();
  }
}
