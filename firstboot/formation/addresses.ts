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

interface Known {
  /** By address, the one heard from last at the end. */
  readonly addresses: Map<string, Milliseconds>;
  groupAt: Milliseconds;
  directAt: Milliseconds;
}

export class Addresses {
  readonly #places = new Map<Place, Known>();

  /** A genuine, fresh message of the place came from there. */
  heard(place: Place, { address, direct }: Source, now: Milliseconds): void {
    let known = this.#places.get(place);
    if (known === undefined) {
      known = { addresses: new Map(), groupAt: Number.NEGATIVE_INFINITY, directAt: Number.NEGATIVE_INFINITY };
      this.#places.set(place, known);
    }
    known.addresses.delete(address);
    known.addresses.set(address, now);
    if (known.addresses.size > mostOfPlace)
      known.addresses.delete(known.addresses.keys().next().value ?? address);
    if (direct) known.directAt = now;
    else known.groupAt = now;
  }

  /** Latest heard first, link-local IPv6 before IPv4, what came over site0 last: it came over its interface too. */
  of(place: Place): readonly string[] {
    const known = [...(this.#places.get(place)?.addresses.keys() ?? [])].reverse();
    const order = (address: string): number =>
      address.endsWith('%site0') ? 2 : address.includes(':') ? 0 : 1;
    return known.sort((a, b) => order(a) - order(b));
  }

  /**
   * Places that are spoken to directly as well: those that were heard once, are not heard by what they say to
   * everybody, and either asked this way lately or are `sought`. Some switches drop broadcast and multicast.
   */
  aside(sought: (place: Place) => boolean, now: Milliseconds): readonly Place[] {
    return [...this.#places]
      .filter(([, { groupAt }]) => now - groupAt > groupSilent)
      .filter(([place, { directAt }]) => now - directAt < askedLately || sought(place))
      .map(([place]) => place);
  }
}
