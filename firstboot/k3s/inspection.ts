// A look into the store of a stopped server: k3s is run on loopback without its kubelet, and asked what it holds.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../formats/json.ts';
import { startFile } from '../../formats/programs.ts';
import { inOneLine } from '../inoneline.ts';
import { foundInApi, foundInStorage } from './census.ts';
import type { K3sPaths } from './paths.ts';
import { Serving } from './serving.ts';

/** A slow board's server takes a minute and a half until its API answers. */
const patience = 240_000;

/** What a person put into this device's part of the cluster, or why that cannot be told; undefined when nothing is there. */
export async function inspect(paths: K3sPaths, server: boolean): Promise<string | undefined> {
  try {
    return (await foundInStorage(paths.storage)) ?? (server ? await insideStore(paths) : undefined);
  } catch (error) {
    return `it cannot be told: ${inOneLine(error)}`;
  }
}

async function insideStore(paths: K3sPaths): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekiln-inspect-'));
  const options = parseJson(await readFile(paths.config, 'utf8'));
  const file = join(folder, 'config.yaml');
  const quiet = { 'disable-agent': true, 'bind-address': '127.0.0.1', 'cluster-init': false };
  await writeFile(file, JSON.stringify({ ...(options as object), ...quiet }), { mode: 0o600 });
  const k3s = startFile(paths.program, ['server', '--config', file]);
  let ended: string | undefined;
  void k3s.ended.then(({ said }) => {
    ended = said;
  });
  const serving = new Serving(paths);
  try {
    const deadline = performance.now() + patience;
    while (performance.now() < deadline) {
      if (ended !== undefined) throw new Error(`k3s ended while its store was looked at: ${ended}`);
      try {
        const api = await serving.api();
        if ((await api.ask('GET', '/readyz')).status === 200) return await foundInApi(api);
      } catch {
        // Its certificates may be written anew while it starts.
        serving.forget();
      }
      await sleep(1000);
    }
    throw new Error('k3s did not answer in time');
  } finally {
    serving.forget();
    k3s.kill('SIGTERM');
    const timer = setTimeout(() => k3s.kill('SIGKILL'), 20_000);
    await k3s.ended;
    clearTimeout(timer);
    await rm(folder, { recursive: true, force: true });
  }
}
