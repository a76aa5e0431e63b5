// A site of hosts in namespaces for the chains: flashed from a profile, on a switch of this very process.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { loadProfile } from '../../builder/profile/load.ts';
import { statusOf } from '../../lab/keeper/control.ts';
import type { Host } from '../../lab/keeper/host.ts';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import type { NamespacePlace } from '../../lab/keeper/plan.ts';
import { shellOn } from '../../lab/keeper/shell.ts';
import { flashHosts } from '../../lab/namespaces/flash.ts';

export interface NamespaceSite {
  readonly lab: Lab;
  /** In the order of the roster; none is powered on before `powerOn`. */
  readonly places: readonly NamespacePlace[];
  /** Powers hosts on for the first time, all at once; all, if none is named. */
  powerOn(...names: string[]): Promise<void>;
  host(name: string): Host;
  /** Runs a shell line on a host and gives what it wrote; fails when it fails. */
  run(name: string, line: string): Promise<string>;
  stop(): Promise<void>;
}

/** `more` is added to the profile, at its upper level. */
export async function openSite(name: string, count: number, more = ''): Promise<NamespaceSite> {
  const folder = mkdtempSync(join(tmpdir(), `edgekiln-${name}-`));
  const profile = join(folder, `${name}.yaml`);
  const devices = Array.from({ length: count }, (_, index) => `{name: n${index + 1}}`);
  writeFileSync(
    profile,
    `apiVersion: edgekiln/v1
site: {name: ${name}}
board: qemu-x86_64
base: {debian: {suite: trixie}}
k3s: {standIn: true}
system: {hostname: '{device}'}
devices: [${devices.join(', ')}]
${more}`,
  );
  const loaded = await loadProfile(profile);
  const places = await flashHosts(loaded, join(folder, 'flashed'), { keysRoot: join(folder, 'keys') });
  const lab = await openLab({ site: name, directory: join(folder, 'lab') });
  const host = (wanted: string): Host => {
    const found = lab.hosts.get(wanted);
    if (found === undefined) throw new Error(`no host ${wanted}`);
    return found;
  };
  return {
    lab,
    places,
    host,
    async powerOn(...names) {
      const wanted = places.filter((place) => names.length === 0 || names.includes(place.name));
      await Promise.all(wanted.map((place) => lab.addHost(place)));
    },
    async run(wanted, line) {
      const status = statusOf(lab).find((one) => one.name === wanted);
      if (status === undefined) throw new Error(`no host ${wanted}`);
      const [program, args] = shellOn(status, ['sh', '-c', line]);
      const { stdout } = await execa(program, args, { timeout: 60_000 });
      return stdout;
    },
    async stop() {
      await lab.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Looks again and again until it holds; fails with what was seen last. */
export async function until<Seen>(
  what: string,
  seconds: number,
  look: () => Promise<Seen>,
  holds: (seen: Seen) => boolean,
): Promise<Seen> {
  const end = performance.now() + seconds * 1000;
  let last = 'nothing';
  for (;;) {
    try {
      const seen = await look();
      if (holds(seen)) return seen;
      last = JSON.stringify(seen);
    } catch (error) {
      last = String(error);
    }
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}; last seen: ${last}`);
    await sleep(500);
  }
}
