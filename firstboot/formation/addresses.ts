// Where other places were heard from. Pure but for its own memory.
import type { Place } from '../../formats/roster.ts';
import type { Source } from '../lan/beacons.ts';
import type { Milliseconds } from '../protocol/terms.ts';

/** Addresses remembered of one place: IPv4 and IPv6 of two interfaces, and one that is just changing. */
const mostOfPlace = 5;
/** What is said to everybody did not reach this device for so long: it may not reach the other either. */
const groupSilent: Milliseconds = 45_000;
/** Who spoke to this device alone within this time is answered the same way. */
const askedLately: Milliseconds = 120_000;

/** Who knocked is answered so long; if it is who it says, it is heard by then. */
const knockLasts: Milliseconds = 15_000;

interface Known {
  /** By address, the one heard from last at the end. */
  readonly addresses: Map<string, Milliseconds>;
  groupAt: Milliseconds;
  directAt: Milliseconds;
  knock: { readonly address: string; readonly at: Milliseconds } | undefined;
}

export class Addresses {
  readonly #places = new Map<Place, Known>();

  /** A genuine, fresh message of the place came from there. */
  heard(place: Place, { address, direct }: Source, now: Milliseconds): void {
    const known = this.#known(place);
    known.knock = undefined;
    known.addresses.delete(address);
    known.addresses.set(address, now);
    if (known.addresses.size > mostOfPlace)
      known.addresses.delete(known.addresses.keys().next().value ?? address);
    if (direct) known.directAt = now;
    else known.groupAt = now;
  }

  /**
   * Something of the place came to this device alone and was signed, but has not proven that it is no recording: it is
   * answered there, but not looked for there.
   */
  knocked(place: Place, { address, direct }: Source, now: Milliseconds): void {
    if (direct) this.#known(place).knock = { address, at: now };
  }

  /** Latest heard first, link-local IPv6 before IPv4, what came over site0 last: it came over its interface too. */
  of(place: Place): readonly string[] {
    const known = [...(this.#places.get(place)?.addresses.keys() ?? [])].reverse();
    const order = (address: string): number =>
      address.endsWith('%site0') ? 2 : address.includes(':') ? 0 : 1;
    return known.sort((a, b) => order(a) - order(b));
  }

  /**
   * Where to speak directly as well: to places that were heard once, are not heard by what they say to everybody, and
   * either asked this way lately or are `sought`; and to those that knocked. Some switches drop broadcast and multicast.
   */
  aside(
    sought: (place: Place) => boolean,
    now: Milliseconds,
  ): readonly { place: Place; addresses: readonly string[] }[] {
    return [...this.#places].flatMap(([place, { groupAt, directAt, knock }]) => {
      const silent = now - groupAt > groupSilent;
      const spoken = silent && (now - directAt < askedLately || sought(place));
      const addresses = spoken ? this.of(place).slice(0, 2) : [];
      if (knock !== undefined && now - knock.at < knockLasts && !addresses.includes(knock.address))
        addresses.push(knock.address);
      return addresses.length === 0 ? [] : [{ place, addresses }];
    });
  }

  /** The place is heard, whoever it speaks to. */
  heardLately(place: Place, now: Milliseconds): boolean {
    const { groupAt, directAt } = this.#places.get(place) ?? nothing;
    return now - Math.max(groupAt, directAt) < groupSilent;
  }

  #known(place: Place): Known {
    const known = this.#places.get(place) ?? { ...nothing, addresses: new Map() };
    this.#places.set(place, known);
    return known;
  }
}

const nothing: Omit<Known, 'addresses'> = {
  groupAt: Number.NEGATIVE_INFINITY,
  directAt: Number.NEGATIVE_INFINITY,
  knock: undefined,
};
