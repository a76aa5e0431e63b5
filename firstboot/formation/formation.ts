// Formation on the device: the protocol's steps, wired to datagrams, disk, clock, join channel and k3s.
import { createHash, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Place } from '../../formats/roster.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { inOneLine } from '../inoneline.ts';
import { Allowance } from '../lan/allowance.ts';
import { Beacons, type Source } from '../lan/beacons.ts';
import type { LanInterface } from '../lan/interfaces.ts';
import { ed25519 } from '../protocol/ed25519.ts';
import { Envelopes } from '../protocol/envelope.ts';
import type { Alarm, Effect, Event, Rule } from '../protocol/events.ts';
import { dossierOf } from '../protocol/generations.ts';
import type { Message } from '../protocol/messages.ts';
import { transitions } from '../protocol/phases.ts';
import type { Signatures } from '../protocol/signatures.ts';
import type { Site } from '../protocol/site.ts';
import { type State, wakeAt } from '../protocol/state.ts';
import { start, step } from '../protocol/step.ts';
import type { BootId, Dossier, Incarnation, ShortHash } from '../protocol/terms.ts';
import { Addresses } from './addresses.ts';
import type { Channel, ClusterEvent, LocalCluster, Neighbourhood } from './cluster.ts';
import { RecordDisk } from './recorddisk.ts';
import { type GoodRoster, Rosters, rawKey } from './rosters.ts';
import { type FormationView, type RaisedAlarm, viewOf } from './view.ts';

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

/** Datagrams remembered to know their copies: one comes by IPv4 and IPv6, and again over site0. */
const copiesKept = 256;
/** Rules that are used all the time and say nothing to a reader of the journal. */
const quiet: ReadonlySet<Rule> = new Set([
  'discovery: copy dropped',
  'discovery: proven',
  'founding: waits its turn',
]);

export class Formation implements Neighbourhood {
  readonly place: Place;
  readonly deviceKey: KeyObject;
  readonly #rosters: Rosters;
  readonly #disk: RecordDisk;
  readonly #beacons: Beacons;
  readonly #envelopes: Envelopes;
  readonly #signatures: Signatures;
  readonly #allowance = new Allowance();
  readonly #addresses = new Addresses();
  /** Datagrams as they came, and whose they were; undefined for own ones. */
  readonly #copies = new Map<string, Place | undefined>();
  readonly #alarms = new Map<Alarm, RaisedAlarm>();
  #cluster: LocalCluster | undefined;
  #channel: Channel | undefined;
  #state: State | undefined;
  #effects: Effect[] = [];
  #syncing = false;
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
    this.#signatures = ed25519(deviceKey);
    const { name } = rosters.current.site;
    const tag = createHash('sha256').update(name).digest('hex').slice(0, 16) as ShortHash;
    // Every image of the site holds the site's public key, and no other does: enough for a filter.
    const filterKey = createHash('sha256')
      .update(`edgekiln filter ${rawKey(siteKey)}`)
      .digest();
    this.#envelopes = new Envelopes({ name, tag }, filterKey);
    this.#beacons = new Beacons((bytes, source) => this.#receive(bytes, source));
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
    this.#beacons.look(interfaces);
    this.#onSite0 = interfaces.some(({ name, addresses }) => name === 'site0' && addresses.length > 0);
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
    this.#alarms.clear();
    this.feed({ kind: 'resolve' });
  }

  /** A roster from a peer or a person; obeyed if it is newer and has the same electors. Fails where it is not genuine. */
  async takeRoster(text: string): Promise<void> {
    const roster = this.#rosters.verify(text);
    this.feed({ kind: 'roster', site: roster.site });
    if (this.#state?.site === roster.site) await this.#rosters.adopt(roster);
  }

  view(): FormationView | undefined {
    return this.#state === undefined ? undefined : viewOf(this.#state, this.#alarms, performance.now());
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
    const heard = this.#addresses.of(place);
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
    clearTimeout(this.#timer);
    this.#beacons.close();
    await this.#cluster?.stop();
  }

  #receive(bytes: Buffer, source: Source): void {
    const state = this.#state;
    if (state === undefined || this.#stopped) return;
    const copy = bytes.toString('latin1');
    const now = performance.now();
    if (this.#copies.has(copy)) {
      const from = this.#copies.get(copy);
      if (from !== undefined) this.#addresses.heard(from, source, now);
      return;
    }
    const message = this.#envelopes.open(bytes, state.site, () => this.#allowance.take(source.address, now));
    if (message === undefined) return;
    this.feed({ kind: 'message', message });
    // Only what the protocol took as fresh tells where the place is: anybody can send a recording.
    const fresh = message.from !== this.place && (this.#state?.peers[message.from]?.heardAt ?? 0) >= now;
    if (fresh) this.#addresses.heard(message.from, source, now);
    this.#remember(copy, fresh ? message.from : undefined);
  }

  #remember(copy: string, from: Place | undefined): void {
    this.#copies.set(copy, from);
    if (this.#copies.size > copiesKept) this.#copies.delete(this.#copies.keys().next().value ?? '');
  }

  #take(effects: readonly Effect[]): void {
    this.#effects.push(...effects);
    if (!this.#syncing) this.#work();
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

  /** Does effects in their order; what comes after a persist waits until it is on disk. */
  #work(): void {
    while (!this.#syncing && !this.#stopped) {
      const effect = this.#effects.shift();
      if (effect === undefined) return;
      if (effect.kind === 'persist') void this.#persist(effect);
      else this.#carryOut(effect);
    }
  }

  async #persist({ record }: Effect & { kind: 'persist' }): Promise<void> {
    this.#syncing = true;
    try {
      await this.#disk.write(record);
      this.#syncing = false;
      this.feed({ kind: 'persisted', record });
    } catch (error) {
      console.error(`formation: the record cannot be written: ${inOneLine(error)}`);
      this.#syncing = false;
      this.#effects = [];
      this.feed({ kind: 'diskFailed' });
    }
    if (!this.#syncing) this.#work();
  }

  #carryOut(effect: Exclude<Effect, { kind: 'persist' }>): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'note':
        if (!quiet.has(effect.rule)) console.log(`formation: ${effect.rule}`);
        return;
      case 'entered': {
        const { to, why } = transitions[effect.transition];
        console.log(`formation: ${to}: ${why}`);
        return;
      }
      case 'alarm':
        console.error(`formation: ALARM ${effect.alarm}: ${effect.about}`);
        this.#alarms.set(effect.alarm, { about: effect.about, at: performance.now() });
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

  /** To everybody, and besides to those whom broadcast does not reach. */
  #send(message: Message): void {
    const bytes = this.#envelopes.seal(message, this.deviceKey);
    this.#remember(bytes.toString('latin1'), undefined);
    this.#beacons.broadcast(bytes);
    const state = this.#state;
    const searching =
      state?.phase === 'listening' || state?.phase === 'joining' || state?.phase === 'proposing';
    const sought = (place: Place): boolean =>
      searching || state?.peers[place]?.hello?.cluster?.server === true;
    for (const place of this.#addresses.aside(sought, performance.now())) {
      if (message.to !== 0 && message.to !== place) continue;
      for (const address of this.addressesOf(place).slice(0, 2)) this.#beacons.sendTo(address, bytes);
    }
  }
}

function random48(): number {
  return randomBytes(6).readUIntBE(0, 6);
}

/** PKCS #8 of an Ed25519 key is this and its 32 bytes. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function privateKeyOf({ deviceKey }: Stamp): KeyObject {
  const key = Buffer.concat([pkcs8, Buffer.from(deviceKey, 'base64')]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}
