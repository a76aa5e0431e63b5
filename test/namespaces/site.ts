// A site of hosts in namespaces for the chains: flashed from a profile, on a switch of this very process.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { describe, it } from 'vitest';
import { Keyring } from '../../builder/keys/keyring.ts';
import { loadProfile } from '../../builder/profile/load.ts';
import { siteRoster } from '../../builder/site/roster.ts';
import { agentConfigFile } from '../../formats/agentconfig.ts';
import { Failure, renderError } from '../../formats/errors.ts';
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
  /** The roster after the profile was cut to its first `count` devices: those behind are denied. */
  rosterOf(count: number): Promise<string>;
  stop(): Promise<void>;
}

export interface SiteOptions {
  /** Names are this and a number; `n`, if not given. */
  readonly prefix?: string;
  /** A LAN to hang on beside others; a lab of its own, if not given. */
  readonly lab?: Lab;
  /** Minutes until a server counts as dead: fewer than a profile may say. */
  readonly replaceAfter?: number;
}

export async function openSite(
  name: string,
  count: number,
  options: SiteOptions = {},
): Promise<NamespaceSite> {
  const folder = mkdtempSync(join(tmpdir(), `edgekiln-${name}-`));
  const load = (devices: number) => {
    const file = join(folder, `${name}.yaml`);
    writeFileSync(file, profileOf(name, options.prefix ?? 'n', devices));
    return loadProfile(file);
  };
  const keysRoot = join(folder, 'keys');
  const places = await flashHosts(await load(count), join(folder, 'flashed'), { keysRoot });
  if (options.replaceAfter !== undefined) {
    const file = join(folder, 'flashed/slot', agentConfigFile);
    const { servers, ...config } = JSON.parse(readFileSync(file, 'utf8'));
    const changed = { ...config, servers: { ...servers, replaceAfter: options.replaceAfter } };
    writeFileSync(file, JSON.stringify(changed));
  }
  const lab = options.lab ?? (await openLab({ site: name, directory: join(folder, 'lab') }));
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
    async rosterOf(devices) {
      return siteRoster((await load(devices)).profile, new Keyring(name, keysRoot));
    },
    async stop() {
      if (options.lab === undefined) await lab.stop();
      if (process.env['EDGEKILN_KEEP'] === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

const isReal = process.env['EDGEKILN_K3S'] !== undefined;

/** Sites with the stand-in are light and live side by side; with a real k3s they come one after the other. */
export const aSite = isReal ? describe : describe.concurrent;
export const onSites = isReal ? it : it.concurrent;

/** A real k3s may carry no network of its own: then the lab has one, as in docs/lab.md. */
const realK3s = isReal
  ? ', config: {flannel-backend: none, disable-network-policy: true, disable-kube-proxy: true}'
  : '';

function profileOf(site: string, prefix: string, count: number): string {
  const devices = Array.from({ length: count }, (_, index) => `{name: ${prefix}${index + 1}}`);
  return `apiVersion: edgekiln/v1
site: {name: ${site}}
board: qemu-x86_64
base: {debian: {suite: trixie}}
k3s: {standIn: true${realK3s}}
system: {hostname: '{device}'}
devices: [${devices.join(', ')}]
`;
}

/** A machine that is busy with other tests gets so many times what one at rest needs. */
const patience = 3;

/** Looks again and again until it holds, for `seconds` of a machine at rest; fails with what was seen last. */
export async function until<Seen>(
  what: string,
  seconds: number,
  look: () => Promise<Seen>,
  holds: (seen: Seen) => boolean,
): Promise<Seen> {
  const end = performance.now() + seconds * patience * 1000;
  let last = 'nothing';
  for (;;) {
    try {
      const seen = await look();
      if (holds(seen)) return seen;
      last = JSON.stringify(seen);
    } catch (error) {
      last = error instanceof Failure ? renderError(error) : String(error);
    }
    if (performance.now() > end)
      throw new Error(`not within ${seconds * patience} s: ${what}; last seen: ${last}`);
    await sleep(500);
  }
}
