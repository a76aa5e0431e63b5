// k3s as it runs on this device: started in the role the disk holds, stopped, and whether it works.
import { existsSync } from 'node:fs';
import { inOneLine } from '../inoneline.ts';
import type { Identity } from '../protocol/terms.ts';
import { Api } from './api.ts';
import type { DeviceFacts } from './facts.ts';
import type { K3sPaths } from './paths.ts';
import { interfaceOf, isCgroupV1, markWhole, prepare, writeConfig } from './prepare.ts';
import { nodeOf, type Serving } from './serving.ts';
import type { Node } from './settings.ts';
import { nodePassword, readStore, type Store, writeStore } from './store.ts';
import type { K3sRole, Units } from './units.ts';
import { syncWritten } from './written.ts';

/** Nothing is wrong: what it waits for comes by itself. */
export class Waiting extends Error {}

export interface RunnerFacts extends Pick<DeviceFacts, 'config' | 'neighbourhood'> {
  readonly paths: K3sPaths;
  readonly units: Units;
  readonly serving: Serving;
}

export class Runner {
  readonly #facts: RunnerFacts;
  /** The API as this node's kubelet may ask it, on an agent. */
  #kubelet: Api | undefined;
  /** It should run. */
  wanted = false;
  /** It worked when it was looked at last. */
  ready = false;
  role: K3sRole | undefined;
  /** What this device does or waits for, one phrase; undefined at rest. */
  doing: string | undefined;
  /** Milliseconds of the monotonic clock: when it was started, or when it stopped working. */
  since = 0;

  constructor(facts: RunnerFacts) {
    this.#facts = facts;
  }

  /** Starts k3s in the role that the disk holds for this cluster. */
  async start(identity: Identity): Promise<void> {
    const { paths } = this.#facts;
    const store = await readStore(paths);
    if (store?.identity.cluster !== identity.cluster)
      throw new Error(`the files of cluster ${identity.cluster} are not on this disk: a person decides`);
    // Without its store, server or permit k3s would start a cluster of its own.
    if (store.role === 'founder' && store.ready && !existsSync(paths.wal))
      throw new Error(`the store of cluster ${identity.cluster} is gone: a person decides`);
    await this.launch(store);
  }

  async launch(store: Store): Promise<void> {
    const { paths, config, neighbourhood, units, serving } = this.#facts;
    const role: K3sRole = store.role === 'agent' ? 'agent' : 'server';
    const node = this.#node();
    this.role = role;
    this.wanted = true;
    if ((await units.running()) !== role) {
      await units.stop();
      const init = store.role === 'founder' && !store.ready;
      await prepare(paths, config, node, nodePassword(neighbourhood.deviceKey), store, init);
    }
    serving.forget();
    this.forget();
    this.ready = false;
    this.since = performance.now();
    this.doing = `starts k3s as ${role}`;
    await units.start(role);
  }

  /** Stops k3s and its containers. */
  async halt(): Promise<void> {
    this.doing = 'stops k3s';
    this.wanted = false;
    this.ready = false;
    await this.#facts.units.stop();
    // Read when it is needed: what starts programs is a large part of the bundle.
    const { removeContainers } = await import('./containers.ts');
    await removeContainers();
    this.role = undefined;
    this.doing = undefined;
  }

  /** Stops k3s to start it in another role: containers go on. */
  stop(): Promise<void> {
    return this.#facts.units.stop();
  }

  /** Looks whether k3s works; true where it has begun to since the last look. */
  async look(store: Store): Promise<boolean> {
    const { units } = this.#facts;
    const works = await this.#works(store).catch(() => false);
    // Asking systemd takes a program: only where there is a doubt.
    if (!works && (await units.running()) === undefined) await this.launch(store);
    if (!this.ready) await syncWritten(this.#facts.paths);
    if (works === this.ready) return false;
    // What could not be kept is kept at the next look: until then nobody is told.
    if (works) await this.#keepReady(store);
    else this.since = performance.now();
    this.ready = works;
    this.doing = works ? undefined : 'waits for k3s';
    return works;
  }

  async #works({ role }: Store): Promise<boolean> {
    const { paths, neighbourhood, serving } = this.#facts;
    if (role !== 'agent') return serving.ready(neighbourhood.siteAddressOf(neighbourhood.place));
    this.#kubelet ??= await Api.open(paths.kubeletConfig);
    try {
      return nodeOf(await this.#kubelet.object('GET', `/api/v1/nodes/${this.#node().name}`)).ready;
    } catch (error) {
      // Its certificate may be another one now.
      this.forget();
      throw error;
    }
  }

  /** Leaves the connections to the API. */
  forget(): void {
    this.#kubelet?.close();
    this.#kubelet = undefined;
  }

  async #keepReady(store: Store): Promise<void> {
    const { paths, config } = this.#facts;
    console.log(`k3s: ready as ${store.role} of cluster ${store.identity.cluster}`);
    // Each time, not only the first: a slot with another k3s unpacks another tree. Without a mark it does so again.
    await markWhole(paths).catch((error: unknown) =>
      console.error(`k3s: what it unpacked is not marked as whole: ${inOneLine(error)}`),
    );
    if (store.ready) return;
    // The permit is spent: no start founds again, whatever is lost.
    await writeStore(paths, { ...store, ready: true });
    await writeConfig(paths, config, this.#node(), store, false);
  }

  #node(): Node {
    const { neighbourhood, config } = this.#facts;
    const { place } = neighbourhood;
    const address = neighbourhood.siteAddressOf(place);
    const name = neighbourhood.site().members[place]?.name;
    if (name === undefined) throw new Error(`place ${place} is not in the roster`);
    const carrier = interfaceOf(address);
    if (carrier === undefined) throw new Waiting(`waits for its address ${address}`);
    const { labels = {}, taints = [] } = config.nodes?.[name] ?? {};
    return { name, address, interface: carrier, labels, taints, cgroupV1: isCgroupV1() };
  }
}
