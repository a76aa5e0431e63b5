// Saying and hearing messages: datagrams in envelopes, copies and floods kept from the protocol.
import { createHash, type KeyObject } from 'node:crypto';
import type { Place } from '../../formats/roster.ts';
import { Allowance } from '../lan/allowance.ts';
import { Beacons, type Source } from '../lan/beacons.ts';
import type { LanInterface } from '../lan/interfaces.ts';
import { Envelopes, largestReceived } from '../protocol/envelope.ts';
import type { Message } from '../protocol/messages.ts';
import type { Site } from '../protocol/site.ts';
import type { ShortHash } from '../protocol/terms.ts';
import { Addresses } from './addresses.ts';
import { rawKey } from './keys.ts';

/** Datagrams remembered to know their copies: one comes by IPv4 and IPv6, and again over site0. */
const copiesKept = 256;

/** What is done with a genuine message; true if it was fresh. Anybody can send a recording: it tells no address. */
type Hear = (message: Message) => boolean;

/** An address that a place has by the roster, whether it was heard or not. */
export interface Door {
  readonly place: Place;
  readonly address: string;
}

export class Voice {
  readonly #deviceKey: KeyObject;
  readonly #site: () => Site;
  readonly #hear: Hear;
  readonly #beacons: Beacons;
  readonly #envelopes: Envelopes;
  readonly #allowance = new Allowance();
  readonly #addresses = new Addresses();
  /** Datagrams as they came, and whose they were; undefined for own and for stale ones. */
  readonly #copies = new Map<string, Place | undefined>();

  /** `site` gives the roster in force; its name never changes. */
  constructor(deviceKey: KeyObject, siteKey: KeyObject, site: () => Site, hear: Hear) {
    this.#deviceKey = deviceKey;
    this.#site = site;
    this.#hear = hear;
    const { name } = site();
    const tag = createHash('sha256').update(name).digest('hex').slice(0, 16) as ShortHash;
    // Every image of the site holds the site's public key, and no other does: enough for a filter.
    const filterKey = createHash('sha256')
      .update(`edgekiln filter ${rawKey(siteKey)}`)
      .digest();
    this.#envelopes = new Envelopes({ name, tag }, filterKey);
    this.#beacons = new Beacons((bytes, source) => this.#receive(bytes, source));
  }

  /** Follows the interfaces. */
  look(interfaces: readonly LanInterface[]): void {
    this.#beacons.look(interfaces);
  }

  /**
   * Says it to everybody, and besides directly to those whom broadcast does not reach: asked lately, or `sought`; and at
   * the doors of those that are not heard at all.
   */
  say(message: Message, sought: (place: Place) => boolean, doors: readonly Door[] = []): void {
    const bytes = this.#envelopes.seal(message, this.#deviceKey);
    this.#remember(bytes.toString('latin1'), undefined);
    this.#beacons.broadcast(bytes);
    const now = performance.now();
    for (const { place, addresses } of this.#addresses.aside(sought, now)) {
      if (message.to !== 0 && message.to !== place) continue;
      for (const address of addresses) this.#beacons.sendTo(address, bytes);
    }
    for (const { place, address } of doors)
      if (!this.#addresses.heardLately(place, now)) this.#beacons.sendTo(address, bytes);
  }

  /** Where a place was heard from, the most useful address first. */
  addressesOf(place: Place): readonly string[] {
    return this.#addresses.of(place);
  }

  close(): void {
    this.#beacons.close();
  }

  #receive(bytes: Buffer, source: Source): void {
    // Nobody of ours says so much: it is not even looked at.
    if (bytes.length > largestReceived) return;
    const copy = bytes.toString('latin1');
    const now = performance.now();
    if (this.#copies.has(copy)) {
      const from = this.#copies.get(copy);
      if (from !== undefined) this.#addresses.heard(from, source, now);
      return;
    }
    const message = this.#envelopes.open(bytes, this.#site(), () =>
      this.#allowance.take(source.address, now),
    );
    if (message === undefined) return;
    const fresh = this.#hear(message);
    if (fresh) this.#addresses.heard(message.from, source, now);
    else if (message.body.kind === 'hello') this.#addresses.knocked(message.from, source, now);
    this.#remember(copy, fresh ? message.from : undefined);
  }

  #remember(copy: string, from: Place | undefined): void {
    this.#copies.set(copy, from);
    if (this.#copies.size > copiesKept) this.#copies.delete(this.#copies.keys().next().value ?? '');
  }
}
