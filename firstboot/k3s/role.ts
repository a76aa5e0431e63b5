// How this device comes into a cluster, and changes its role there: joins, is promoted, finds that it was removed.
import type { Place } from '../../formats/roster.ts';
import { Refused } from '../join/words.ts';
import type { Identity } from '../protocol/terms.ts';
import { serverUrl } from './answers.ts';
import type { DeviceFacts } from './facts.ts';
import type { K3sPaths } from './paths.ts';
import type { Runner } from './runner.ts';
import { refuseOthers } from './settings.ts';
import { nodeCertificates, readStore, type Store, setAside, writeSecret, writeStore } from './store.ts';

/**
 * An agent that never was in its cluster asks for admission again: its password may have been refused. On a slow board
 * importing the images comes first, and takes minutes.
 */
const admissionLasts = 600_000;
/** A device whose k3s does not work asks a server what it is in the cluster. */
const doubtAfter = 60_000;
/** A promoted server that is no voter by then goes back: etcd evicts a learner after five minutes. */
const promotionLasts = 360_000;

export interface RoleFacts extends Pick<DeviceFacts, 'neighbourhood' | 'ask' | 'feed' | 'takeTime'> {
  readonly paths: K3sPaths;
  readonly runner: Pick<Runner, 'start' | 'stop' | 'launch' | 'since' | 'doing'>;
  /** Why this device cannot become a server now; undefined when it can. */
  readonly unfit: () => Promise<string | undefined>;
}

export class RoleOfDevice {
  readonly #facts: RoleFacts;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** What only a person can do something about, in words; undefined where nothing is known of that kind. */
  alarm: string | undefined;

  constructor(facts: RoleFacts) {
    this.#facts = facts;
  }

  async join(identity: Identity, by: Place): Promise<void> {
    const { paths, runner } = this.#facts;
    const before = await readStore(paths);
    if (before?.identity.cluster === identity.cluster) return runner.start(identity);
    // Left by a founding that came to nothing, or by a cluster that was set aside but for this.
    await setAside(paths, before?.identity.cluster ?? 'unfinished');
    const store: Store = { identity, role: 'agent', ready: false, servers: [], critical: {} };
    await this.#admit(store, by, { rejected: false, removed: false });
  }

  /** k3s does not work: is there something this device can do about it? */
  async whileNotReady(store: Store): Promise<void> {
    const now = performance.now();
    const waited = now - this.#facts.runner.since;
    if (Math.min(waited, now - this.#askedAt) <= doubtAfter) return;
    this.#askedAt = now;
    await this.#askStanding(store, waited);
  }

  /** Fetches the server token of a server whose journal names this device, and starts as server with the same node. */
  async becomeServer(store: Store, by: Place, operation: number): Promise<void> {
    const { ask, unfit, paths, runner } = this.#facts;
    const { cluster, ca } = store.identity;
    const why = await unfit();
    if (why !== undefined) throw new Error(`it cannot become a server: ${why}`);
    runner.doing = 'becomes a server';
    const promotion = await ask(by, 'promotion', { cluster, operation });
    if (promotion.ca !== ca || !promotion.serverToken.startsWith(`K10${ca}::server:`))
      throw new Error('the promotion is of another cluster');
    refuseOthers(promotion.critical);
    await writeSecret(paths.serverToken, promotion.serverToken);
    await writeSecret(paths.agentToken, promotion.agentToken);
    const { servers, critical } = promotion;
    const server: Store = { ...store, role: 'server', ready: false, servers, critical };
    await writeStore(paths, server);
    await runner.stop();
    await runner.launch(server);
  }

  /** Asks a server for a token of its own, and starts as agent. */
  async #admit(store: Store, by: Place, how: { rejected: boolean; removed: boolean }): Promise<void> {
    const { ask, feed, neighbourhood, paths, runner } = this.#facts;
    const { cluster, ca } = store.identity;
    // Anybody can say that it is a server. Who lets this device in decides what runs here.
    if (neighbourhood.site().members[by]?.eligible !== true)
      throw new Error(`place ${by} says that it is a server, and may not be one`);
    runner.doing = 'asks to join';
    this.#askedAt = performance.now();
    await this.#facts.takeTime(by);
    const admission = await ask(by, 'admission', { cluster, ...how });
    if (admission.ca !== ca || !admission.token.startsWith(`K10${ca}::`)) {
      const why = `place ${by} has another CA than the cluster`;
      feed({ kind: 'joinRefused', cluster, why });
      throw new Refused(why);
    }
    await writeSecret(paths.joinToken, admission.token);
    const agent: Store = { ...store, role: 'agent', servers: admission.servers };
    await writeStore(paths, agent);
    await runner.stop();
    await runner.launch(agent);
  }

  /**
   * Was it removed while it was away, or did its promotion fail? Then it comes back as an agent, with a new node. Is the
   * server gone that its k3s was told of? Then another one lets it in: k3s may not have learned of the others in time.
   */
  async #askStanding(store: Store, waited: number): Promise<void> {
    const { ask } = this.#facts;
    const { cluster } = store.identity;
    this.alarm = undefined;
    const { told, places } = this.#servers(store);
    for (const place of places) {
      const answer = await ask(place, 'standing', { cluster }).catch(() => undefined);
      if (answer === undefined) continue;
      if (store.role === 'agent' && !store.ready) {
        const rejected = waited > admissionLasts;
        if (place !== told || rejected) await this.#admit(store, place, { rejected, removed: false });
        return;
      }
      const promoting = store.role === 'server' && !store.ready;
      // A learner is a member: it has its time. One that is not even that yet waits for its turn.
      if (promoting ? waited > promotionLasts : answer.standing !== roleOf(store)) {
        console.log(`k3s: place ${place} says that this device is ${answer.standing} in its cluster`);
        await this.#comeBack(store, place);
      } else if (store.role === 'agent' && place !== told) {
        console.log(`k3s: the server it was told of does not answer, place ${place} does`);
        await this.#admit(store, place, { rejected: false, removed: false });
      }
      return;
    }
    // Without a majority of its servers a cluster stands still. Forcing one of them to go on alone is a person's matter.
    if (store.role !== 'agent' && store.ready && (store.voters ?? 1) > 1)
      this.alarm =
        'k3s does not work here, and no other server of the cluster answers: power the others on; nothing is reset';
  }

  /** Whom to ask, and which of them k3s here was told of: that one first. */
  #servers(store: Store): { readonly told: Place | undefined; readonly places: readonly Place[] } {
    const { neighbourhood } = this.#facts;
    const others = neighbourhood
      .site()
      .members.flatMap((one) =>
        one?.eligible && !one.denied && one.place !== neighbourhood.place ? [one.place] : [],
      );
    const told = others.find((one) => serverUrl(neighbourhood.siteAddressOf(one)) === store.servers[0]);
    const rest = others.filter((one) => one !== told);
    return { told, places: told === undefined ? rest : [told, ...rest] };
  }

  /** Its store is worth nothing any more, for etcd never takes a removed member back; nor are a gone node's certificates. */
  async #comeBack(store: Store, by: Place): Promise<void> {
    const { paths, runner } = this.#facts;
    await runner.stop();
    await setAside(paths, `${store.identity.cluster}-node`, ['server', ...nodeCertificates]);
    const agent: Store = { ...store, ready: true, critical: {} };
    const removed = store.role !== 'agent' && store.ready;
    await this.#admit(agent, by, { rejected: false, removed });
  }

  /** k3s works again. */
  isReady(): void {
    this.alarm = undefined;
  }
}

const roleOf = ({ role }: Store): 'server' | 'agent' => (role === 'agent' ? 'agent' : 'server');
