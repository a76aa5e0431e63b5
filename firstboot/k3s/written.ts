// What k3s writes without a sync: certificates, keys, tokens, small files all of them. A power cut within half a minute
// behind its start leaves them empty, and k3s does not start with empty ones: seen with two servers of three, which is
// the end of a cluster. So they are brought to the disk while k3s starts, and once more when it works.
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { K3sPaths } from './paths.ts';

/** Folders that have a sync of their own, or hold what can be had again. */
const others = new Set(['db', 'containerd', 'images', 'logs', 'pod-manifests', 'static']);

/** Syncs what lies in the folders of server and agent. Files that go meanwhile are nothing to be kept. */
export async function syncWritten({ dataDir }: Pick<K3sPaths, 'dataDir'>): Promise<void> {
  for (const folder of ['server', 'agent']) await syncFolder(join(dataDir, folder));
}

async function syncFolder(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !others.has(entry.name)) await syncFolder(path);
    else if (entry.isFile()) await syncPath(path);
  }
  if (entries.length > 0) await syncPath(folder);
}

async function syncPath(path: string): Promise<void> {
  const file = await open(path, 'r').catch(() => undefined);
  try {
    await file?.sync();
  } finally {
    await file?.close();
  }
}
