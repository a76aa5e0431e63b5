// The site as the protocol sees it: one verified roster, made quick to ask.
import { electorsOf, type Place, type VerifiedRoster } from '../../formats/roster.ts';
import type { Hash, PublicKey, ShortHash } from './terms.ts';

export interface Member {
  readonly place: Place;
  readonly name: string;
  /** Absent while nobody has claimed the place. */
  readonly key: PublicKey | undefined;
  /** Keys that had the place before, where a table says that boards were replaced: what they signed still counts. */
  readonly former?: readonly PublicKey[] | undefined;
  /** Whether it may ever become a server. */
  readonly eligible: boolean;
  readonly class: number;
  readonly denied: boolean;
}

export type Policy =
  | { readonly kind: 'first-online' }
  | { readonly kind: 'majority' }
  | { readonly kind: 'designated'; readonly place: Place };

export interface Site {
  readonly name: string;
  readonly epoch: number;
  readonly hash: Hash;
  readonly previous: Hash | undefined;
  readonly policy: Policy;
  readonly claimed: boolean;
  /** Whether a founder that held data may be replaced without a person. */
  readonly refound: boolean;
  /** By place; index 0 is empty. */
  readonly members: readonly (Member | undefined)[];
  /** Places that decide, ascending; fixed for the site's life. */
  readonly electors: readonly Place[];
  /** Position of each place among the electors, -1 for the others; by place. */
  readonly slots: readonly number[];
  /** Hash over the site's name and its electors: two devices that differ in it must not count each other's votes. */
  readonly electorsHash: ShortHash;
  /** The same by the roster alone; in a claimed site `electorsHash` names the table instead. */
  readonly rosterElectors: ShortHash;
  readonly deniedKeys: readonly string[];
  readonly quorum: number;
}

/** The place of a board that has none: no member, no elector, never a candidate. */
export const nowhere = 0 as Place;

/** Majority of the electors. */
function quorumOf(electors: number): number {
  return Math.floor(electors / 2) + 1;
}

/** How many other electors must answer one that lost its memory: enough to meet every quorum it was ever part of. */
export function recoveryQuorum(site: Site): number {
  return site.electors.length - site.quorum + 1;
}

/**
 * The site of a verified roster. `digest` is SHA-256 in hexadecimal, given by the caller so that the core stays free
 * of it.
 */
export function siteOf({ roster, hash }: VerifiedRoster, digest: (text: string) => string): Site {
  const electors = electorsOf(roster);
  const last = Math.max(...roster.places.map((entry) => entry.place));
  const members: (Member | undefined)[] = new Array(last + 1).fill(undefined);
  const denied = new Set(roster.denied);
  const electorsHash = digest(`electors|${roster.site}|${electors.join(',')}`).slice(0, 16) as ShortHash;
  for (const entry of roster.places) {
    members[entry.place] = {
      place: entry.place,
      name: entry.name,
      key: entry.key as PublicKey | undefined,
      eligible: entry.server,
      class: entry.class,
      denied: entry.key !== undefined && denied.has(entry.key),
    };
  }
  return {
    name: roster.site,
    epoch: roster.epoch,
    hash: hash as Hash,
    previous: (roster.previous ?? undefined) as Hash | undefined,
    policy: policyOf(roster),
    claimed: roster.enrolment === 'claimed',
    refound: roster.onFounderLoss === 'refound',
    members,
    electors,
    slots: members.map((_, place) => electors.indexOf(place as Place)),
    electorsHash,
    rosterElectors: electorsHash,
    deniedKeys: roster.denied,
    quorum: quorumOf(electors.length),
  };
}

function policyOf(roster: VerifiedRoster['roster']): Policy {
  if (roster.policy === 'first-online' || roster.policy === 'majority') return { kind: roster.policy };
  const name = roster.policy.slice('designated: '.length);
  const entry = roster.places.find((candidate) => candidate.name === name);
  if (entry === undefined) throw new RangeError(`designated ${name} is not in the roster`);
  return { kind: 'designated', place: entry.place };
}

/** Whether `a` founds before `b`: hardware class, then place. Both must be members. */
export function outranks(site: Site, a: Place, b: Place): boolean {
  const classA = site.members[a]?.class ?? 256;
  const classB = site.members[b]?.class ?? 256;
  return classA < classB || (classA === classB && a < b);
}
