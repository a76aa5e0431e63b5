// Claimed enrolment: every board carries the same image, makes a key, and gets a place from the founder's table.
//
// The promise is weaker than with stamped boards: at most one table a generation can lead to a decision, as long as at
// most as many boards are on the LAN as the roster has places. A board accepts one table a generation, and a founder
// proposes only when more than half of all places have accepted its table: two tables cannot both have that many
// boards. With more boards than places they can, and claims.test.ts shows it.
import type { Place } from '../../formats/roster.ts';
import type { Signatures } from './signatures.ts';
import type { PublicKey, Signature } from './terms.ts';

export interface Entry {
  readonly place: Place;
  readonly key: PublicKey;
}

/** What a founder hands out. Only it adds; nothing is ever taken back or handed out twice. */
export interface Table {
  readonly site: string;
  readonly generation: number;
  readonly founder: PublicKey;
  /** Grows with every entry, and with closing. */
  readonly serial: number;
  readonly entries: readonly Entry[];
  /** No place is handed out any more: all are taken, or a person closed enrolment. */
  readonly closed: boolean;
}

export interface SignedTable {
  readonly table: Table;
  readonly signature: Signature;
}

/** What a board keeps on disk of its claim. */
export interface Claim {
  readonly key: PublicKey;
  /** The newest table of the one founder it accepted in this generation. */
  readonly table: Table | undefined;
}

function tableStatement({ site, generation, founder, serial, entries, closed }: Table): string {
  const list = entries.map(({ place, key }) => `${place}=${key}`).join(',');
  return `table|edgekiln|${site}|${generation}|${founder}|${serial}|${closed}|${list}`;
}

export function signTable(signatures: Signatures, table: Table): SignedTable {
  return { table, signature: signatures.sign(tableStatement(table)) };
}

/** A founder's first table: itself at the first place that may found. */
export function newTable(site: string, generation: number, founder: PublicKey, own: Place): Table {
  return { site, generation, founder, serial: 1, entries: [{ place: own, key: founder }], closed: false };
}

/** The table with a place for this board, in order of arrival; the same table where it has one, or none is to be had. */
export function handOut(table: Table, key: PublicKey, places: readonly Place[]): Table {
  if (table.closed || table.entries.some((entry) => entry.key === key)) return table;
  const place = places.find((candidate) => !table.entries.some((entry) => entry.place === candidate));
  if (place === undefined) return { ...table, closed: true, serial: table.serial + 1 };
  const entries = [...table.entries, { place, key }];
  return { ...table, entries, serial: table.serial + 1, closed: entries.length === places.length };
}

/** A person closes enrolment: the image's secret is worth nothing from here on. */
export function closeEnrolment(table: Table): Table {
  return table.closed ? table : { ...table, closed: true, serial: table.serial + 1 };
}

export type Refusal =
  | 'not signed by its founder'
  | 'not for this board'
  | 'another table this generation'
  | 'older'
  | 'contradicts';

/**
 * A board takes a table: the first of a generation that names it, and later ones of the same founder that only add.
 * On disk before the board speaks under its place.
 */
export function acceptTable(claim: Claim, offer: SignedTable, signatures: Signatures): Claim | Refusal {
  const { table, signature } = offer;
  if (!signatures.verify(table.founder, tableStatement(table), signature)) return 'not signed by its founder';
  if (!table.entries.some((entry) => entry.key === claim.key)) return 'not for this board';
  const held = claim.table;
  if (held === undefined || table.generation > held.generation) return { ...claim, table };
  if (table.generation < held.generation || table.founder !== held.founder)
    return 'another table this generation';
  if (table.serial <= held.serial) return 'older';
  const kept = held.entries.every((entry) =>
    table.entries.some((e) => e.place === entry.place && e.key === entry.key),
  );
  return kept ? { ...claim, table } : 'contradicts';
}

/** Whether the founder may propose its cluster: boards at more than half of all places accepted its table. */
export function mayPropose(table: Table, accepted: ReadonlySet<PublicKey>, places: number): boolean {
  const bound = table.entries.filter((entry) => accepted.has(entry.key));
  return bound.length > places / 2;
}

/** Among boards without places the one with the lower hardware class, then the lower key, founds. */
export function outranksUnplaced(
  a: { class: number; key: PublicKey },
  b: { class: number; key: PublicKey },
): boolean {
  return a.class < b.class || (a.class === b.class && a.key < b.key);
}
