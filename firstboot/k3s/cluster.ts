// k3s on this device, as formation asks for it: one effect after the other, and between them a look at what runs.
import { existsSync } from 'node:fs';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import type { Place } from '../../formats/roster.ts';
import type {
  ClusterEffect,
  ClusterStatus,
  Feed,
  LocalCluster,
  Neighbourhood,
} from '../formation/cluster.ts';
import { inOneLine } from '../inoneline.ts';
import type { Ask } from '../join/client.ts';
import { Refused } from '../join/words.ts';
import type { ClusterId, Identity } from '../protocol/terms.ts';
import { type AnswersFacts, clusterAnswers } from './answers.ts';
import { Api } from './api.ts';
import { foundInApi } from './census.ts';
import { endContainers } from './containers.ts';
import { unfitBoard } from './fitness.ts';
import { inspect } from './inspection.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { incapability, interfaceOf, isCgroupV1, markWhole, prepare, writeConfig } from './prepare.ts';
import { Reconciler, type Seen } from './reconciler.ts';
import { Serving } from './serving.ts';
import { criticalOptions, type Node } from './settings.ts';
import {
  makeStore,
  nodePassword,
  readStore,
  type Store,
  setAside,
  writeSecret,
  writeStore,
} from './store.ts';
import { SupervisedUnits } from './supervised.ts';
import { systemdUnits } from './systemd.ts';
import type { K3sRole, Units } from './units.ts';

/** Pauses between looks, in milliseconds: while something is under way, and at rest. */
const soon = 1000;
const atRest = 15_000;
/** A failed effect is tried again after this. */
const again = 5000;
/** An agent that is not in its cluster by then asks for admission again: its password may have been refused. */
const admissionLasts = 90_000;
/** A server without a working API asks others whether it is still one. */
const doubtAfter = 60_000;
/** A promoted server that is no voter by then goes back: etcd evicts a learner after five minutes. */
const promotionLasts = 360_000;
const dataEvery = 60_000;

export interface K3sFacts {
  /** `/` on a device. */
  readonly root: string;
  readonly config: AgentConfig;
  readonly neighbourhood: Neighbourhood;
  readonly ask: Ask;
  readonly feed: Feed;
}

export class K3sCluster implements LocalCluster {
  readonly #facts: K3sFacts;
  readonly #paths: K3sPaths;
  readonly #units: Units;
  readonly #serving: Serving;
  readonly #waiting: ClusterEffect[] = [];
  /** Should run; what is on the disk says as what. */
  #wanted = false;
  #ready = false;
  #startedAt = 0;
  /** Since when what runs is not ready, or undefined while it is. */
  #admittedBy: Place | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #promotion: { readonly by: Place; readonly operation: number } | undefined;
  #reconciler: Reconciler | undefined;
  #seen: Seen | undefined;
  #role: K3sRole | undefined;
  #doing: string | undefined;
  #problem: string | undefined;
  #data = false;
  #dataAt = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => {};
  #stopped = false;
  #running: Promise<void> | undefined;

  constructor(facts: K3sFacts) {
    this.#facts = facts;
    this.#paths = k3sPaths(facts.root);
    this.#units = process.env['EDGEKILN_SUPERVISE'] === '1' ? new SupervisedUnits(this.#paths) : systemdUnits;
    this.#serving = new Serving(this.#paths);
  }

  async store(): Promise<ClusterId | undefined> {
    const store = await readStore(this.#paths);
    return store?.ready === true ? store.identity.cluster : undefined;
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
    return {
      k3s: !this.#wanted ? 'stopped' : this.#ready ? 'running' : 'starting',
      role: this.#role,
      doing: this.#doing,
      nodes: this.#seen?.nodes,
      problems: [this.#problem, this.#seen?.alarm].filter((one) => one !== undefined),
    };
  }

  /** What the join channel answers about this cluster. */
  answers(): ReturnType<typeof clusterAnswers> {
    const facts: AnswersFacts = {
      paths: this.#paths,
      neighbourhood: this.#facts.neighbourhood,
      serving: this.#serving,
      serves: () => this.#ready && this.#role === 'server',
      promoted: (by, operation) => {
        this.#promotion ??= { by, operation };
        this.#wake();
      },
      unfit: () => this.#unfit(),
    };
    return clusterAnswers(facts);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
    this.#units.leave();
    this.#serving.forget();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const [effect] = this.#waiting;
      let pause = soon;
      try {
        if (effect !== undefined) {
          await this.#do(effect);
          this.#waiting.shift();
          pause = 0;
        } else {
          pause = await this.#look();
        }
        this.#problem = undefined;
      } catch (error) {
        const problem = inOneLine(error);
        if (problem !== this.#problem) console.error(`k3s: ${effect?.kind ?? 'look'}: ${problem}`);
        this.#problem = problem;
        // What came later may be the way out; else it is tried again.
        if (this.#waiting.length > 1) this.#waiting.shift();
        pause = effect === undefined ? soon : again;
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
        this.#doing = 'makes the identity of a cluster';
        const { identity } = await makeStore(this.#paths, neighbourhood.place, criticalOptions(config));
        feed({ kind: 'identity', identity });
        return;
      }
      case 'startFounder':
      case 'startMember':
        return this.#start(effect.identity);
      case 'join':
        return this.#join(effect.identity, effect.by);
      case 'stopK3s':
        return this.#halt();
      case 'testEmpty': {
        const store = await readStore(this.#paths);
        await this.#halt();
        this.#doing = 'looks whether its cluster is empty';
        const why = await inspect(this.#paths, store !== undefined && store.role !== 'agent');
        if (why !== undefined) console.log(`k3s: the cluster is not given up: ${why}`);
        this.#doing = undefined;
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

  /** Starts k3s in the role that the disk holds for this cluster. */
  async #start(identity: Identity): Promise<void> {
    const store = await readStore(this.#paths);
    if (store?.identity.cluster !== identity.cluster)
      throw new Error(`the files of cluster ${identity.cluster} are not on this disk: a person decides`);
    if (store.role === 'founder' && store.ready && !existsSync(this.#paths.wal))
      throw new Error(`the store of cluster ${identity.cluster} is gone: a person decides`);
    await this.#launch(store);
  }

  async #launch(store: Store): Promise<void> {
    const { config, neighbourhood } = this.#facts;
    const role: K3sRole = store.role === 'agent' ? 'agent' : 'server';
    const node = this.#node();
    this.#role = role;
    this.#wanted = true;
    if ((await this.#units.running()) !== role) {
      await this.#units.stop();
      const init = store.role === 'founder' && !store.ready;
      await prepare(this.#paths, config, node, nodePassword(neighbourhood.deviceKey), store, init);
    }
    this.#serving.forget();
    this.#ready = false;
    this.#startedAt = performance.now();
    this.#doing = `starts k3s as ${role}`;
    await this.#units.start(role);
  }

  async #halt(): Promise<void> {
    this.#doing = 'stops k3s';
    this.#wanted = false;
    this.#ready = false;
    this.#promotion = undefined;
    this.#reconciler = undefined;
    this.#seen = undefined;
    await this.#units.stop();
    await endContainers();
    this.#role = undefined;
    this.#doing = undefined;
  }

  async #join(identity: Identity, by: Place): Promise<void> {
    const before = await readStore(this.#paths);
    this.#admittedBy = by;
    if (before?.identity.cluster === identity.cluster) return this.#start(identity);
    // Left by a founding that came to nothing, or by a cluster that was set aside but for this.
    await setAside(this.#paths, before?.identity.cluster ?? 'unfinished');
    const store: Store = { identity, role: 'agent', ready: false, servers: [], critical: {} };
    await this.#admit(store, by, { rejected: false, removed: false });
  }

  /** Asks a server for a token of its own, and starts as agent. */
  async #admit(store: Store, by: Place, how: { rejected: boolean; removed: boolean }): Promise<void> {
    const { ask, feed } = this.#facts;
    const { cluster, ca } = store.identity;
    this.#doing = 'asks to join';
    this.#askedAt = performance.now();
    try {
      const admission = await ask(by, 'admission', { cluster, ...how });
      if (admission.ca !== ca || !admission.token.startsWith(`K10${ca}::`))
        throw new Refused('the server has another CA than the cluster');
      await writeSecret(this.#paths.joinToken, admission.token);
      const agent: Store = { ...store, role: 'agent', servers: admission.servers };
      await writeStore(this.#paths, agent);
      await this.#units.stop();
      await this.#launch(agent);
    } catch (error) {
      if (error instanceof Refused) feed({ kind: 'joinRefused', cluster, why: error.message });
      throw error;
    }
  }

  /** Returns how long until the next look, in milliseconds. */
  async #look(): Promise<number> {
    if (!this.#wanted) return atRest;
    const store = await readStore(this.#paths);
    if (store === undefined) throw new Error('the files of its cluster are gone');
    if ((await this.#units.running()) === undefined) await this.#launch(store);
    if (this.#promotion !== undefined && store.role === 'agent') {
      const { by, operation } = this.#promotion;
      this.#promotion = undefined;
      await this.#becomeServer(store, by, operation);
      return soon;
    }
    const ready = await this.#isReady(store).catch(() => false);
    if (!ready) return this.#whileNotReady(store);
    if (!this.#ready) await this.#becameReady(store);
    if (store.role === 'agent') return atRest;
    return this.#reconcile(store);
  }

  async #isReady(store: Store): Promise<boolean> {
    const { neighbourhood } = this.#facts;
    const { place } = neighbourhood;
    if (store.role !== 'agent') return this.#serving.ready(neighbourhood.siteAddressOf(place));
    const api = await Api.open(this.#paths.kubeletConfig);
    try {
      const node = await api.object('GET', `/api/v1/nodes/${this.#node().name}`);
      return JSON.stringify(node['status']).includes('"reason":"KubeletReady"');
    } finally {
      api.close();
    }
  }

  async #becameReady(store: Store): Promise<void> {
    const { config, feed } = this.#facts;
    this.#ready = true;
    this.#doing = undefined;
    if (!store.ready) {
      await markWhole(this.#paths);
      // The permit is spent: no start founds again, whatever is lost.
      await writeStore(this.#paths, { ...store, ready: true });
      await writeConfig(this.#paths, config, this.#node(), store, false);
    }
    console.log(`k3s: ready as ${store.role} of cluster ${store.identity.cluster}`);
    feed({ kind: 'k3sReady', cluster: store.identity.cluster });
    feed({ kind: 'role', role: store.role === 'agent' ? 'agent' : 'server' });
  }

  async #whileNotReady(store: Store): Promise<number> {
    if (this.#ready) this.#startedAt = performance.now();
    this.#ready = false;
    const waited = performance.now() - this.#startedAt;
    this.#doing ??= 'waits for k3s';
    if (store.role === 'agent') {
      const due = performance.now() - this.#askedAt > admissionLasts;
      if (!store.ready && this.#admittedBy !== undefined && due && waited > admissionLasts)
        await this.#admit(store, this.#admittedBy, { rejected: true, removed: false });
    } else if (waited > doubtAfter && performance.now() - this.#askedAt > doubtAfter) {
      this.#askedAt = performance.now();
      await this.#askStanding(store, waited);
    }
    return soon;
  }

  /** Fetches the server token of a server whose journal names this device, and starts as server with the same node. */
  async #becomeServer(store: Store, by: Place, operation: number): Promise<void> {
    const { ask } = this.#facts;
    const { cluster, ca } = store.identity;
    const unfit = await this.#unfit();
    if (unfit !== undefined) throw new Error(`it cannot become a server: ${unfit}`);
    this.#doing = 'becomes a server';
    const promotion = await ask(by, 'promotion', { cluster, operation });
    if (promotion.ca !== ca || !promotion.serverToken.startsWith(`K10${ca}::server:`))
      throw new Error('the promotion is of another cluster');
    await writeSecret(this.#paths.serverToken, promotion.serverToken);
    await writeSecret(this.#paths.agentToken, promotion.agentToken);
    const { servers, critical } = promotion;
    const server: Store = { ...store, role: 'server', ready: false, servers, critical };
    await writeStore(this.#paths, server);
    await this.#units.stop();
    await this.#launch(server);
  }

  /** A server whose API does not answer: was it removed while it was away, or did its promotion fail? */
  async #askStanding(store: Store, waited: number): Promise<void> {
    const { ask, neighbourhood } = this.#facts;
    const { cluster } = store.identity;
    const others = neighbourhood
      .site()
      .members.filter((one) => one?.eligible && one.place !== neighbourhood.place);
    for (const other of others) {
      if (other === undefined || other.denied) continue;
      const answer = await ask(other.place, 'standing', { cluster }).catch(() => undefined);
      if (answer === undefined || answer.standing === 'unknown') continue;
      const late = !store.ready && waited > promotionLasts;
      if (answer.standing === 'server' && !late) return;
      if (answer.standing === 'removed' && !store.ready && !late) return;
      // Its store is worth nothing any more: etcd never takes a removed member back.
      console.log(`k3s: place ${other.place} says that this device is no server any more`);
      await this.#units.stop();
      await setAside(this.#paths, `${cluster}-server`, ['server']);
      await this.#admit(store, other.place, { rejected: false, removed: store.ready });
      return;
    }
  }

  async #reconcile(store: Store): Promise<number> {
    const { neighbourhood, ask, config, feed } = this.#facts;
    const { cluster } = store.identity;
    this.#reconciler ??= new Reconciler(this.#serving, neighbourhood, ask, cluster, config);
    const seen = await this.#reconciler.look(performance.now());
    this.#seen = seen;
    if (!this.#data && performance.now() - this.#dataAt > dataEvery) {
      this.#dataAt = performance.now();
      this.#data = (await foundInApi(await this.#serving.api())) !== undefined;
    }
    feed({ kind: 'census', servers: seen.servers, members: seen.members, data: this.#data });
    const young = performance.now() - this.#startedAt < 120_000;
    return seen.busy || young ? 2 * soon : atRest;
  }

  async #unfit(): Promise<string | undefined> {
    const { neighbourhood } = this.#facts;
    if (neighbourhood.site().members[neighbourhood.place]?.eligible !== true) return 'the roster says no';
    if (existsSync(`${this.#paths.dataDir}/server`)) return 'it still has the store of a server';
    return unfitBoard(this.#paths.dataDir);
  }

  #node(): Node {
    const { neighbourhood, config } = this.#facts;
    const { place } = neighbourhood;
    const address = neighbourhood.siteAddressOf(place);
    const name = neighbourhood.site().members[place]?.name;
    if (name === undefined) throw new Error(`place ${place} is not in the roster`);
    const carrier = interfaceOf(address);
    if (carrier === undefined) throw new Error(`waits for its address ${address}`);
    const { labels = {}, taints = [] } = config.nodes?.[name] ?? {};
    return { name, address, interface: carrier, labels, taints, cgroupV1: isCgroupV1() };
  }
}
