// Claimed enrolment, the table: every board carries the same image, makes a key, and gets a place from the table of the
// board that opened enrolment. How tables are opened, offered and left: enrolment.ts.
//
// The promise is weaker than with stamped boards: at most one table can lead to a decision, as long as at most as many
// boards (keys) come to the site as it has places. A board is bound to one table, and nobody proposes before boards at
// more than half of all places are known to be bound to it: two tables cannot both have that many. With more boards than
// places they can, and tests show it.
import type { Place } from '../../formats/roster.ts';
import type { Signatures } from './signatures.ts';
import type { Member, Site } from './site.ts';
import type { PublicKey, ShortHash, Signature } from './terms.ts';

export interface Entry {
  readonly place: Place;
  readonly key: PublicKey;
  /** It opened a table of its own before, and gave that up for good. */
  readonly withdrew: boolean;
  /** Keys that had the place before a person replaced them; they are heard no more. */
  readonly former: readonly PublicKey[];
}

/** Who has which place. Named by who opened it; only that board adds to it, nothing is handed out twice. */
export interface Table {
  readonly site: string;
  readonly founder: PublicKey;
  /** Grows with every change. */
  readonly serial: number;
  readonly entries: readonly Entry[];
  /** No place is handed out any more: all are taken, or a person closed enrolment. */
  readonly closed: boolean;
}

export interface SignedTable {
  readonly table: Table;
  readonly signature: Signature;
}

/** What a board keeps of its claim. */
export interface Claim {
  /** The newest table it is bound to. */
  readonly held: SignedTable | undefined;
  /** That table will never decide: its founder gave it up, or another one was decided. The board leaves it. */
  readonly over: boolean;
  /** It opened a table once and gave it up: it opens no other, because a table is named by its founder. */
  readonly withdrew: boolean;
}

export const noClaim: Claim = { held: undefined, over: false, withdrew: false };

function statementOf({ site, founder, serial, entries, closed }: Table): string {
  const list = entries
    .map(({ place, key, withdrew, former }) => `${place}=${[key, ...former].join('<')}${withdrew ? '!' : ''}`)
    .join(',');
  return `table|edgekiln|${site}|${founder}|${serial}|${closed ? 'closed' : 'open'}|${list}`;
}

export function signTable(signatures: Signatures, table: Table): SignedTable {
  return { table, signature: signatures.sign(statementOf(table)) };
}

/** A first table: its founder at the first place that may found. */
export function newTable(site: Site, founder: PublicKey, own: Place): Table {
  const entries = [{ place: own, key: founder, withdrew: false, former: [] }];
  return { site: site.name, founder, serial: 1, entries, closed: sizeOf(site) === 1 };
}

/** Places of the site. */
export function sizeOf({ members }: Site): number {
  return members.reduce((sum, member) => sum + (member === undefined ? 0 : 1), 0);
}

export function entryOf(table: Table, key: PublicKey): Entry | undefined {
  return table.entries.find((entry) => entry.key === key);
}

/**
 * The table with a place for this board, in order of arrival; the same table where none is to be had, or it has one
 * already. That it gave up a table of its own meanwhile is noted.
 */
export function handOut(table: Table, key: PublicKey, site: Site, withdrew = false): Table {
  const own = entryOf(table, key);
  if (own !== undefined && withdrew && !own.withdrew) {
    const noted = table.entries.map((entry) => (entry === own ? { ...own, withdrew } : entry));
    return { ...table, entries: noted, serial: table.serial + 1 };
  }
  const known = table.entries.some((entry) => entry.key === key || entry.former.includes(key));
  if (table.closed || known) return table;
  const free = site.members.find(
    (member) => member !== undefined && !table.entries.some((entry) => entry.place === member.place),
  );
  if (free === undefined) return table;
  const entries = [...table.entries, { place: free.place, key, withdrew, former: [] }];
  return { ...table, entries, serial: table.serial + 1, closed: entries.length >= sizeOf(site) };
}

/** A person closes enrolment: the image's secret is worth nothing from here on. */
export function closeEnrolment(table: Table): Table {
  return table.closed ? table : { ...table, closed: true, serial: table.serial + 1 };
}

/**
 * A person gives a place to another board, also in a closed table; the same table where that makes no sense, and where
 * the place is that of the board that opened it: nobody could change the table any more.
 */
export function replaceBoard(table: Table, place: Place, key: PublicKey): Table {
  const known = table.entries.some((entry) => entry.key === key || entry.former.includes(key));
  const former = table.entries.find((entry) => entry.place === place)?.key;
  if (known || former === undefined || former === table.founder) return table;
  const entries = table.entries.map((entry) =>
    entry.place === place ? { place, key, withdrew: false, former: [...entry.former, entry.key] } : entry,
  );
  return { ...table, entries, serial: table.serial + 1 };
}

export type Refusal =
  | 'not signed by its founder'
  | 'not for this site'
  | 'not for this board'
  | 'another table'
  | 'older'
  | 'contradicts';

/**
 * A board takes a table: one that names it, if it is bound to none; later ones of the same founder that only add to
 * what it knows. On disk before the board speaks under its place.
 */
export function acceptTable(
  held: Table | undefined,
  { table, signature }: SignedTable,
  key: PublicKey,
  site: Site,
  signatures: Signatures,
): Table | Refusal {
  if (!signatures.verify(table.founder, statementOf(table), signature)) return 'not signed by its founder';
  if (table.site !== site.name || !table.entries.every(({ place }) => site.members[place] !== undefined))
    return 'not for this site';
  if (held === undefined) return entryOf(table, key) === undefined ? 'not for this board' : table;
  if (table.founder !== held.founder) return 'another table';
  if (table.serial <= held.serial) return 'older';
  const kept = held.entries.every((entry) =>
    table.entries.some((e) => e.place === entry.place && [e.key, ...e.former].includes(entry.key)),
  );
  return kept ? table : 'contradicts';
}

/** The site as a table fills it; without one no place has a key. Votes under different tables never count together. */
export function seated(site: Site, table: Table | undefined): Site {
  const entries = new Map(table?.entries.map((entry) => [entry.place, entry]));
  const members = site.members.map((member): Member | undefined => {
    if (member === undefined) return undefined;
    const { key, former } = entries.get(member.place) ?? {};
    return { ...member, key, former, denied: key !== undefined && site.deniedKeys.includes(key) };
  });
  const electorsHash = table === undefined ? site.rosterElectors : (table.founder.slice(0, 16) as ShortHash);
  return { ...site, members, electorsHash };
}

/** Whether a table with this many entries could ever lead to a decision. */
export function canDecide(bound: number, site: Site): boolean {
  return bound > sizeOf(site) / 2;
}

/** Among boards without places the one with the lower hardware class, then the lower key, opens enrolment. */
export function outranksUnplaced(
  a: { readonly class: number; readonly key: PublicKey },
  b: { readonly class: number; readonly key: PublicKey },
): boolean {
  return a.class < b.class || (a.class === b.class && a.key < b.key);
}
