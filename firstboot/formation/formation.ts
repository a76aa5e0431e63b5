// Formation on the device: the protocol's steps, wired to datagrams, disk, clock, join channel and k3s.
import { type KeyObject, randomBytes } from 'node:crypto';
import type { Place } from '../../formats/roster.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { inOneLine } from '../inoneline.ts';
import type { LanInterface } from '../lan/interfaces.ts';
import { ed25519 } from '../protocol/ed25519.ts';
import type { Effect, Event } from '../protocol/events.ts';
import { dossierOf } from '../protocol/generations.ts';
import type { Message } from '../protocol/messages.ts';
import type { Signatures } from '../protocol/signatures.ts';
import type { Site } from '../protocol/site.ts';
import { type State, wakeAt } from '../protocol/state.ts';
import { start, step } from '../protocol/step.ts';
import type { BootId, Dossier, Incarnation } from '../protocol/terms.ts';
import type { Channel, ClusterEvent, LocalCluster, Neighbourhood } from './cluster.ts';
import { Journal } from './journal.ts';
import { privateKeyOf, rawKey } from './keys.ts';
import { Knocking } from './knocking.ts';
import { RecordDisk } from './recorddisk.ts';
import { type GoodRoster, Rosters } from './rosters.ts';
import { type FormationView, viewOf } from './view.ts';
import { type Door, Voice } from './voice.ts';
import { Work } from './work.ts';

/** What a formation is made of. */
export interface FormationFacts {
  readonly stamp: Stamp;
  /** The site's public key. */
  readonly siteKey: KeyObject;
  /** Files on data. */
  readonly recordFile: string;
  readonly rosterFile: string;
}

type WithoutTime<E> = E extends Event ? Omit<E, 'now' | 'random'> : never;
type Happening = WithoutTime<Event>;

export class Formation implements Neighbourhood {
  readonly place: Place;
  readonly deviceKey: KeyObject;
  readonly #rosters: Rosters;
  readonly #disk: RecordDisk;
  readonly #work: Work;
  readonly #voice: Voice;
  readonly #knocking = new Knocking();
  readonly #signatures: Signatures;
  readonly #journal = new Journal();
  #cluster: LocalCluster | undefined;
  #channel: Channel | undefined;
  #state: State | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;
  #carrier = false;
  #onSite0 = false;
  #stopped = false;

  private constructor(
    place: Place,
    deviceKey: KeyObject,
    siteKey: KeyObject,
    rosters: Rosters,
    disk: RecordDisk,
  ) {
    this.place = place;
    this.deviceKey = deviceKey;
    this.#rosters = rosters;
    this.#disk = disk;
    this.#work = new Work(
      disk,
      (effect) => this.#carryOut(effect),
      (event) => this.feed(event),
    );
    this.#signatures = ed25519(deviceKey);
    this.#voice = new Voice(
      deviceKey,
      siteKey,
      () => this.site(),
      (message) => this.#hear(message),
    );
  }

  /** Reads record and roster. Fails where there is no roster that this device is in, or the record cannot be read. */
  static async open({ stamp, siteKey, recordFile, rosterFile }: FormationFacts): Promise<Formation> {
    const deviceKey = privateKeyOf(stamp);
    const rosters = await Rosters.open(stamp, siteKey, rawKey(deviceKey), rosterFile);
    const disk = await RecordDisk.open(recordFile);
    return new Formation(stamp.place as Place, deviceKey, siteKey, rosters, disk);
  }

  /** Begins. From here on events of k3s may be fed. */
  async start(cluster: LocalCluster, channel: Channel): Promise<void> {
    const [store, capable] = [await cluster.store(), await cluster.capable()];
    this.#cluster = cluster;
    this.#channel = channel;
    const first = start(
      {
        now: performance.now(),
        random: random48(),
        site: this.site(),
        place: this.place,
        boot: random48() as BootId,
        incarnation: random48() as Incarnation,
        record: this.#disk.record,
        store,
        capable: capable.capable,
      },
      this.#signatures,
    );
    this.#state = first.state;
    this.#take(first.effects);
    if (this.#carrier) this.feed({ kind: 'carrier', up: true });
  }

  /** Follows the interfaces; called every few seconds. */
  look(interfaces: readonly LanInterface[]): void {
    this.#voice.look(interfaces);
    const own = this.siteAddressOf(this.place);
    this.#onSite0 = interfaces.some(({ addresses }) => addresses.some(({ address }) => address === own));
    const carrier = interfaces.some(({ name, carrier }) => name !== 'site0' && carrier);
    if (carrier === this.#carrier) return;
    this.#carrier = carrier;
    this.feed({ kind: 'carrier', up: carrier });
  }

  /** What k3s answers, and what else happens. Before `start` it is not heard. */
  feed(happening: ClusterEvent | Happening): void {
    if (this.#state === undefined || this.#stopped) return;
    const event = { ...happening, now: performance.now(), random: random48() } as Event;
    const next = step(this.#state, event, this.#signatures);
    this.#state = next.state;
    this.#take(next.effects);
  }

  /** A person looked and says: go on from here. */
  resolve(): void {
    this.#journal.alarms.clear();
    this.feed({ kind: 'resolve' });
  }

  /** A roster from a peer or a person; obeyed if it is newer and has the same electors. Fails where it is not genuine. */
  async takeRoster(text: string): Promise<void> {
    const roster = this.#rosters.verify(text);
    this.feed({ kind: 'roster', site: roster.site });
    if (this.#state?.site === roster.site) await this.#rosters.adopt(roster);
  }

  view(): FormationView | undefined {
    return this.#state === undefined
      ? undefined
      : viewOf(this.#state, this.#journal.alarms, performance.now());
  }

  site(): Site {
    return this.#state?.site ?? this.#rosters.current.site;
  }

  rosterText(): string {
    return this.#rosters.current.text;
  }

  dossier(): Dossier {
    if (this.#state === undefined) throw new Error('formation has not begun');
    return dossierOf(this.#state);
  }

  addressesOf(place: Place): readonly string[] {
    const heard = this.#voice.addressesOf(place);
    return this.#onSite0 ? [...heard, this.siteAddressOf(place)] : heard;
  }

  siteAddressOf(place: Place): string {
    return `${this.roster().subnet}.${place}`;
  }

  roster(): GoodRoster {
    return this.#rosters.current;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#work.stop();
    clearTimeout(this.#timer);
    this.#voice.close();
    await this.#cluster?.stop();
  }

  /** True if the protocol took it as fresh. */
  #hear(message: Message): boolean {
    const now = performance.now();
    this.feed({ kind: 'message', message });
    return message.from !== this.place && (this.#state?.peers[message.from]?.heardAt ?? 0) >= now;
  }

  #take(effects: readonly Effect[]): void {
    this.#work.take(effects);
    this.#sleep();
  }

  #sleep(): void {
    if (this.#state === undefined || this.#stopped) return;
    const at = wakeAt(this.#state);
    if (at === this.#wakesAt) return;
    this.#wakesAt = at;
    clearTimeout(this.#timer);
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#wake(), Math.max(0, Math.min(at - performance.now(), 2 ** 31 - 1)));
  }

  #wake(): void {
    this.#wakesAt = Number.POSITIVE_INFINITY;
    // A timer may ring a fraction of a millisecond early.
    if (this.#state !== undefined && performance.now() < wakeAt(this.#state)) this.#sleep();
    else this.feed({ kind: 'tick' });
  }

  #carryOut(effect: Exclude<Effect, { kind: 'persist' }>): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'note':
      case 'entered':
      case 'alarm':
        this.#journal.write(effect, performance.now());
        return;
      case 'fetchRoster':
        void this.#fetch('roster', async () => {
          const text = await this.#channel?.roster(effect.from);
          if (text !== undefined) await this.takeRoster(text);
        });
        return;
      case 'fetchDossier':
        void this.#fetch('dossier', async () => {
          const dossier = await this.#channel?.dossier(effect.from);
          if (dossier !== undefined) this.feed({ kind: 'dossier', from: effect.from, dossier });
        });
        return;
      case 'fetchTable':
        return; // only in claimed sites, which this agent does not take part in yet
      default:
        this.#cluster?.carryOut(effect);
    }
  }

  /** The protocol asks again by itself. */
  async #fetch(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      console.error(`formation: ${what}: ${inOneLine(error)}`);
    }
  }

  /**
   * Whoever looks for its site, or for a server, also speaks directly to those it heard before; and one that is in no
   * cluster yet goes to every door: a device flashed again must not found where broadcast is blocked.
   */
  #send(message: Message): void {
    const state = this.#state;
    const searching =
      state?.phase === 'listening' || state?.phase === 'joining' || state?.phase === 'proposing';
    this.#voice.say(
      message,
      (place) => searching || state?.peers[place]?.hello?.cluster?.server === true,
      searching || state?.phase === 'founding' ? this.#doors() : [],
    );
  }

  #doors(): readonly Door[] {
    if (!this.#onSite0) return [];
    const doors = this.site().members.flatMap((member) =>
      member === undefined || member.denied || member.place === this.place
        ? []
        : [{ place: member.place, address: this.siteAddressOf(member.place) }],
    );
    return this.#knocking.round(doors, performance.now());
  }
}

function random48(): number {
  return randomBytes(6).readUIntBE(0, 6);
}
