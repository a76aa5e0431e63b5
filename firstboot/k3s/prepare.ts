// What must be on disk before k3s starts: its configuration, its password, its images; and what must not.
import { constants, existsSync } from 'node:fs';
import {
  access,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { networkInterfaces, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import type { K3sPaths } from './paths.ts';
import { k3sEnvironment, k3sOptions, type Node } from './settings.ts';
import { type Store, writeSecret } from './store.ts';
import { removeEmptied } from './written.ts';

/** Less than this many bytes of memory, and not even an agent runs beside the system. */
const leastMemory = 400 * 1024 * 1024;

/** Why k3s cannot run on this board, in words; undefined when it can. */
export async function incapability(paths: K3sPaths): Promise<string | undefined> {
  try {
    await access(paths.program, constants.X_OK);
  } catch {
    return 'the image holds no k3s';
  }
  if (totalmem() < leastMemory) return `its memory of ${Math.round(totalmem() / 1024 ** 2)} MiB is too small`;
  const controllers = await cgroupControllers();
  if (!controllers.includes('memory'))
    return 'the kernel has no memory cgroup: boot with cgroup_enable=memory cgroup_memory=1';
  if (!controllers.includes('pids')) return 'the kernel has no pids cgroup: k3s does not start without it';
  return undefined;
}

/** Whether the kernel still has the controllers in cgroup v1. */
export function isCgroupV1(): boolean {
  return !existsSync('/sys/fs/cgroup/cgroup.controllers');
}

async function cgroupControllers(): Promise<readonly string[]> {
  const unified = await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8').catch(() => undefined);
  if (unified !== undefined) return unified.trim().split(/\s+/);
  const table = await readFile('/proc/cgroups', 'utf8').catch(() => '');
  return [...table.matchAll(/^(\w+)\s+\d+\s+\d+\s+1$/gm)].map(([, name = '']) => name);
}

/** The interface that carries this address now. */
export function interfaceOf(address: string): string | undefined {
  return Object.entries(networkInterfaces()).find(([, list]) =>
    list?.some((one) => one.address === address),
  )?.[0];
}

/** Writes everything a start needs. `init` says that the founding permit is used now. */
export async function prepare(
  paths: K3sPaths,
  config: AgentConfig,
  node: Node,
  password: string,
  store: Store,
  init: boolean,
): Promise<void> {
  await removeTorn(paths);
  const emptied = await removeEmptied(paths);
  if (emptied > 0) console.log(`k3s: ${emptied} files that a power cut left empty are made anew`);
  await linkImages(paths);
  await mkdir(dirname(paths.nodePassword), { recursive: true, mode: 0o700 });
  if (!existsSync(paths.nodePassword)) await writeSecret(paths.nodePassword, `${password}\n`);
  await mkdir(dirname(paths.environment), { recursive: true });
  await writeFile(paths.environment, k3sEnvironment(totalmem()), { mode: 0o600 });
  await writeConfig(paths, config, node, store, init);
}

export async function writeConfig(
  paths: K3sPaths,
  config: AgentConfig,
  node: Node,
  store: Store,
  init: boolean,
): Promise<void> {
  const options = k3sOptions(config, node, store, paths, init);
  await writeSecret(paths.config, `${JSON.stringify(options, null, 1)}\n`);
}

/** The slot's archives, named by their digests, where k3s looks for them; links of an older slot go. */
async function linkImages({ slotImages, images }: K3sPaths): Promise<void> {
  const wanted = await readdir(slotImages).catch((): string[] => []);
  await mkdir(images, { recursive: true });
  for (const name of await readdir(images)) {
    const target = await readlink(join(images, name)).catch(() => undefined);
    if (target?.startsWith(`${slotImages}/`) && !wanted.includes(name)) await unlink(join(images, name));
  }
  for (const name of wanted) {
    if (!existsSync(join(images, name))) await symlink(join(slotImages, name), join(images, name));
  }
  // k3s imports again only what changed while this file is there.
  if (!existsSync(join(images, '.cache.json'))) await writeFile(join(images, '.cache.json'), '{}');
}

const mark = (folder: string): string => `${folder}.whole`;

/** k3s unpacks itself without a sync and trusts what it finds: a tree that was not marked as whole may be torn. */
async function removeTorn({ unpacked }: K3sPaths): Promise<void> {
  for (const name of await readdir(unpacked).catch(() => [])) {
    const folder = join(unpacked, name);
    if (/^[0-9a-f]{64}$/.test(name) && !existsSync(mark(folder))) await rm(folder, { recursive: true });
  }
}

/** k3s works: what it unpacked is brought to the disk and marked. */
export async function markWhole({ unpacked }: K3sPaths): Promise<void> {
  for (const name of await readdir(unpacked).catch(() => [])) {
    const folder = join(unpacked, name);
    if (!/^[0-9a-f]{64}$/.test(name) || existsSync(mark(folder))) continue;
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() || entry.isDirectory()) await sync(join(entry.parentPath, entry.name));
    }
    await sync(folder);
    await writeFile(mark(folder), '');
    await sync(unpacked);
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
