// The device's part in its site, put together: clock, site0, formation, join channel, k3s.
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type AgentConfig, wiredInterfaces } from '../../formats/agentconfig.ts';
import type { Place } from '../../formats/roster.ts';
import type { Stamp } from '../../formats/stamp.ts';
import type { Paths } from '../boot/paths.ts';
import { Clock } from '../guards/clock.ts';
import { PeerTime } from '../guards/peertime.ts';
import { type Ask, asking, channelOf } from '../join/client.ts';
import { type Answers, JoinServer } from '../join/server.ts';
import { Refused } from '../join/words.ts';
import type { ClusterAnswers } from '../k3s/answers.ts';
import { K3sCluster } from '../k3s/cluster.ts';
import type { LanInterface } from '../lan/interfaces.ts';
import { Site0 } from '../lan/site0.ts';
import { withoutK3s } from './absent.ts';
import type { Channel, ClusterStatus, Feed, LocalCluster } from './cluster.ts';
import { Formation } from './formation.ts';
import type { FormationView } from './view.ts';

/** How often the time is kept on data, in milliseconds of the clock itself: a lost quarter of an hour hurts no certificate. */
const saveClockEvery = 900_000;

export class SitePart {
  readonly #formation: Formation;
  readonly #cluster: LocalCluster;
  readonly #channel: Channel;
  readonly #server: JoinServer;
  readonly #site0: Site0;
  readonly #clock: Clock;
  readonly #peerTime: PeerTime;
  #clockSavedAt = 0;
  #started: Promise<void> | undefined;

  private constructor(
    formation: Formation,
    cluster: LocalCluster,
    channel: Channel,
    server: JoinServer,
    site0: Site0,
    clock: Clock,
    peerTime: PeerTime,
  ) {
    this.#formation = formation;
    this.#cluster = cluster;
    this.#channel = channel;
    this.#server = server;
    this.#site0 = site0;
    this.#clock = clock;
    this.#peerTime = peerTime;
  }

  /** Reads what is on data. Fails where this device has no part in its site, and says why. */
  static async open(paths: Paths, config: AgentConfig, stamp: Stamp): Promise<SitePart> {
    const siteKey = createPublicKey(await readFile(paths.siteKey));
    const clock = new Clock(paths.clock, async (seconds) => {
      await run('date', ['--set', `@${seconds}`]);
    });
    const { formation: recordFile, roster: rosterFile } = paths;
    const formation = await Formation.open({ stamp, siteKey, recordFile, rosterFile });
    const ask = asking(formation);
    const peerTime = new PeerTime(clock, async (of) => (await ask(of, 'clock', {})).now);
    const { cluster, answers } = clusterOf(paths, config, formation, ask, peerTime);
    const server = new JoinServer(formation, { ...ownAnswers(formation), ...answers });
    const settings = {
      mode: config.network?.siteInterface ?? 'macvlan',
      address: formation.siteAddressOf(formation.place),
      match: config.lan?.interface ?? wiredInterfaces,
      seed: formation.deviceKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
    const site0 = new Site0(settings, paths.root, run);
    return new SitePart(formation, cluster, channelOf(ask), server, site0, clock, peerTime);
  }

  /** Raises the clock before anything that k3s could make a certificate of. Fails where it may not be set. */
  raiseClock(imageFile: string): Promise<void> {
    return this.#clock.raiseToFloor(imageFile);
  }

  /** Takes part from now on; called again it goes on where it failed. */
  start(): Promise<void> {
    this.#started ??= this.#begin().catch((error: unknown) => {
      this.#started = undefined;
      throw error;
    });
    return this.#started;
  }

  /** Follows the interfaces. */
  look(interfaces: readonly LanInterface[]): void {
    this.#formation.look(interfaces);
    const places = this.#formation.view()?.places ?? [];
    // What a place says of itself is believed only where the roster lets it be a server.
    const servers = places
      .filter(({ seen, ours, eligible }) => seen === 'now' && ours && eligible)
      .map(({ place }) => place);
    void this.#peerTime.look(servers, performance.now());
  }

  /** Fails where another device has the address of this one, or it cannot be set up. */
  lookAtSite0(interfaces: readonly LanInterface[]): Promise<void> {
    return this.#site0.look(interfaces, performance.now());
  }

  /** At once after a start and after a leap, such as the first answer of a time server: certificates are made of it. */
  async keepTime(): Promise<void> {
    if (Math.abs(Date.now() - this.#clockSavedAt) < saveClockEvery) return;
    this.#clockSavedAt = Date.now();
    await this.#clock.save();
  }

  view(): { readonly formation: FormationView | undefined; readonly k3s: ClusterStatus } {
    return { formation: this.#formation.view(), k3s: this.#cluster.view() };
  }

  /** The cluster has formed, as far as this device is concerned: what it puts off until then may begin. */
  formed(): boolean {
    const phase = this.#formation.view()?.phase;
    return phase === 'serving' || phase === 'member';
  }

  /** A person looked and says: go on from here. */
  resolve(): void {
    this.#formation.resolve();
  }

  async stop(): Promise<void> {
    await this.#server.close();
    await this.#formation.stop();
    await this.#clock.save().catch(() => {});
  }

  async #begin(): Promise<void> {
    await this.#server.listen();
    await this.#formation.start(this.#cluster, this.#channel);
  }
}

/** k3s of the image, if it has one, and what it answers other devices. */
function clusterOf(
  { root }: Paths,
  config: AgentConfig,
  formation: Formation,
  ask: Ask,
  peerTime: PeerTime,
): { readonly cluster: LocalCluster; readonly answers: ClusterAnswers } {
  if (config.k3s !== undefined) {
    const feed: Feed = (event) => formation.feed(event);
    const takeTime = async (of: Place): Promise<void> => void (await peerTime.takeFrom(of));
    const cluster = new K3sCluster({ root, config, neighbourhood: formation, ask, feed, takeTime });
    return { cluster, answers: cluster.answers() };
  }
  const refuse = (): Promise<never> => Promise.reject(new Refused('this device is no server of a cluster'));
  return {
    cluster: withoutK3s('the image holds no k3s'),
    answers: { admission: refuse, standing: refuse, fitness: refuse, promote: refuse, promotion: refuse },
  };
}

/** What every device of the roster is told. */
function ownAnswers(formation: Formation): Omit<Answers, keyof ClusterAnswers> {
  return {
    roster: () => Promise.resolve({ text: formation.rosterText() }),
    dossier: () => Promise.resolve({ dossier: formation.dossier() }),
    clock: () => Promise.resolve({ now: Date.now() }),
  };
}

/** What starts programs is a large part of the bundle, and the service at rest has no need of it. */
async function run(name: 'ip' | 'busybox' | 'date', args: readonly string[]): Promise<void> {
  const programs = await import('../../formats/programs.ts');
  await programs.run(name, args, { stdout: 'ignore' });
}
