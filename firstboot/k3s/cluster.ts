// k3s on this device, as formation asks for it: one effect after the other, and between them a look at what runs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from '../../formats/roster.ts';
import type { ClusterEffect, ClusterStatus, LocalCluster } from '../formation/cluster.ts';
import { inOneLine } from '../inoneline.ts';
import type { ClusterId } from '../protocol/terms.ts';
import { type ClusterAnswers, clusterAnswers } from './answers.ts';
import { foundInApi } from './census.ts';
import type { DeviceFacts } from './facts.ts';
import { unfitBoard } from './fitness.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { incapability } from './prepare.ts';
import { Reconciler, type Seen } from './reconciler.ts';
import { RoleOfDevice } from './role.ts';
import { Runner, Waiting } from './runner.ts';
import { Serving } from './serving.ts';
import { criticalOptions } from './settings.ts';
import { makeStore, readStore, type Store, setAside, writeStore } from './store.ts';
import { SupervisedUnits } from './supervised.ts';
import { systemdUnits } from './systemd.ts';
import type { Units } from './units.ts';

/** Pauses between looks, in milliseconds: while something is under way, while the cluster is young, and at rest. */
const soon = 1000;
const young = 2000;
const youngFor = 120_000;
const atRest = 15_000;
/** An effect that failed is tried again after this. */
const again = 5000;
/** How often a server looks for what a person put into the cluster, until it found something. */
const dataEvery = 60_000;

export class K3sCluster implements LocalCluster {
  readonly #facts: DeviceFacts;
  readonly #paths: K3sPaths;
  readonly #units: Units;
  readonly #serving: Serving;
  readonly #runner: Runner;
  readonly #role: RoleOfDevice;
  readonly #waiting: ClusterEffect[] = [];
  #promotion: { readonly by: Place; readonly operation: number } | undefined;
  #reconciler: Reconciler | undefined;
  #seen: Seen | undefined;
  #problem: string | undefined;
  #data = false;
  #dataAt = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => {};
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(facts: DeviceFacts) {
    this.#facts = facts;
    const paths = k3sPaths(facts.root);
    this.#paths = paths;
    this.#units = process.env['EDGEKILN_SUPERVISE'] === '1' ? new SupervisedUnits(paths) : systemdUnits;
    this.#serving = new Serving(paths);
    this.#runner = new Runner({ ...facts, paths, units: this.#units, serving: this.#serving });
    this.#role = new RoleOfDevice({ ...facts, paths, runner: this.#runner, unfit: () => this.#unfit() });
  }

  async store(): Promise<ClusterId | undefined> {
    const store = await readStore(this.#paths);
    // One that was being promoted was an agent of the cluster before.
    return store?.ready === true || store?.role === 'server' ? store.identity.cluster : undefined;
  }

  async capable(): Promise<{ capable: true } | { capable: false; why: string }> {
    const why = await incapability(this.#paths);
    return why === undefined ? { capable: true } : { capable: false, why };
  }

  carryOut(effect: ClusterEffect): void {
    this.#waiting.push(effect);
    this.#running ??= this.#run();
    this.#wake();
  }

  view(): ClusterStatus {
    const { wanted, ready, role, doing } = this.#runner;
    return {
      k3s: wanted ? (ready ? 'running' : 'starting') : 'stopped',
      role,
      doing,
      nodes: this.#seen?.nodes,
      problems: [this.#problem, this.#seen?.alarm, this.#role.alarm].filter((one) => one !== undefined),
    };
  }

  /** What the join channel answers about this cluster. */
  answers(): ClusterAnswers {
    return clusterAnswers({
      paths: this.#paths,
      neighbourhood: this.#facts.neighbourhood,
      serving: this.#serving,
      serves: () => this.#runner.ready && this.#runner.role === 'server',
      promoted: (by, operation) => {
        this.#promotion ??= { by, operation };
        this.#wake();
      },
      unfit: () => this.#unfit(),
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
    this.#units.leave();
    this.#serving.forget();
    this.#runner.forget();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const [effect] = this.#waiting;
      let pause = again;
      try {
        if (effect === undefined) pause = await this.#look();
        else {
          await this.#do(effect);
          this.#waiting.shift();
          pause = 0;
        }
        this.#problem = undefined;
      } catch (error) {
        const problem = inOneLine(error);
        if (error instanceof Waiting) this.#runner.doing = problem;
        else if (problem !== this.#problem) console.error(`k3s: ${effect?.kind ?? 'look'}: ${problem}`);
        this.#problem = error instanceof Waiting ? undefined : problem;
        // What came later may be the way out; else it is tried again.
        if (this.#waiting.length > 1) this.#waiting.shift();
      }
      if (pause > 0 && !this.#stopped) await this.#sleep(pause);
    }
  }

  #sleep(pause: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #do(effect: ClusterEffect): Promise<void> {
    const { feed, neighbourhood, config } = this.#facts;
    switch (effect.kind) {
      case 'makeIdentity': {
        const { identity } = await makeStore(this.#paths, neighbourhood.place, criticalOptions(config));
        feed({ kind: 'identity', identity });
        return;
      }
      case 'startFounder':
      case 'startMember':
        return this.#runner.start(effect.identity);
      case 'join':
        return this.#role.join(effect.identity, effect.by);
      case 'stopK3s':
        return this.#halt();
      case 'testEmpty': {
        const store = await readStore(this.#paths);
        await this.#halt();
        this.#runner.doing = 'looks whether its cluster is empty';
        // Read when it is needed: what starts programs is a large part of the bundle.
        const { inspect } = await import('./inspection.ts');
        const why = await inspect(this.#paths, store !== undefined && store.role !== 'agent');
        if (why !== undefined) console.log(`k3s: the cluster is not given up: ${why}`);
        this.#runner.doing = undefined;
        feed({ kind: 'emptiness', empty: why === undefined });
        return;
      }
      case 'retire':
        await this.#halt();
        await setAside(this.#paths, effect.cluster);
        feed({ kind: 'retired', cluster: effect.cluster });
        return;
    }
  }

  async #halt(): Promise<void> {
    this.#promotion = undefined;
    this.#reconciler = undefined;
    this.#seen = undefined;
    this.#data = false;
    await this.#runner.halt();
  }

  /** Returns how long until the next look, in milliseconds. */
  async #look(): Promise<number> {
    if (!this.#runner.wanted) return atRest;
    const store = await readStore(this.#paths);
    if (store === undefined) throw new Error('the files of its cluster are gone');
    const promotion = this.#promotion;
    this.#promotion = undefined;
    if (promotion !== undefined && store.role === 'agent') {
      await this.#role.becomeServer(store, promotion.by, promotion.operation);
      return soon;
    }
    if (await this.#runner.look(store)) {
      this.#facts.feed({ kind: 'k3sReady', cluster: store.identity.cluster });
      this.#facts.feed({ kind: 'role', role: store.role === 'agent' ? 'agent' : 'server' });
    }
    if (!this.#runner.ready) {
      // What was seen before is no longer known.
      this.#seen = undefined;
      await this.#role.whileNotReady(store);
      return soon;
    }
    this.#role.isReady();
    return store.role === 'agent' ? atRest : this.#reconcile(store);
  }

  async #reconcile(store: Store): Promise<number> {
    const { identity } = store;
    const { neighbourhood, ask, config, feed } = this.#facts;
    const { apps } = this.#paths;
    this.#reconciler ??= new Reconciler(this.#serving, neighbourhood, ask, identity.cluster, config, apps);
    const seen = await this.#reconciler.look(performance.now());
    this.#seen = seen;
    if (seen.servers !== (store.voters ?? 1))
      await writeStore(this.#paths, { ...store, voters: seen.servers });
    if (!this.#data && performance.now() - this.#dataAt > dataEvery) {
      this.#dataAt = performance.now();
      this.#data = (await foundInApi(await this.#serving.api())) !== undefined;
    }
    feed({ kind: 'census', servers: seen.servers, members: seen.members, data: this.#data });
    return seen.busy || performance.now() - this.#runner.since < youngFor ? young : atRest;
  }

  async #unfit(): Promise<string | undefined> {
    const { neighbourhood } = this.#facts;
    if (neighbourhood.site().members[neighbourhood.place]?.eligible !== true) return 'the roster says no';
    if (existsSync(join(this.#paths.dataDir, 'server'))) return 'it still has the store of a server';
    return unfitBoard(this.#paths.dataDir);
  }
}
