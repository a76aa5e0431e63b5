// The words of the protocol as types. Numbers that name things are 48 bits wide: the widest integer that both a
// double and Node's buffers take whole.
import type { Place } from '../../formats/roster.ts';

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** Milliseconds of the device's own monotonic clock since its agent started. Never wall time. */
export type Milliseconds = number;
export const never: Milliseconds = Number.POSITIVE_INFINITY;
/** 48 random bits, drawn at every start of the agent. */
export type BootId = Branded<number, 'BootId'>;
/** 48 random bits, drawn when the device's record is first made: a device that lost its memory has another. */
export type Incarnation = Branded<number, 'Incarnation'>;
/** 48 random bits that an answer must echo to count as fresh. */
export type Challenge = Branded<number, 'Challenge'>;
/** 48 random bits that name a cluster, as 12 hexadecimal digits. */
export type ClusterId = Branded<string, 'ClusterId'>;
/** SHA-256 as 64 hexadecimal digits. */
export type Hash = Branded<string, 'Hash'>;
/** First 8 bytes of a SHA-256 as 16 hexadecimal digits: enough to compare, not to trust. */
export type ShortHash = Branded<string, 'ShortHash'>;
/** Raw Ed25519 public key, hexadecimal. */
export type PublicKey = Branded<string, 'PublicKey'>;
/** Ed25519 signature, hexadecimal. */
export type Signature = Branded<string, 'Signature'>;

/** What a generation decides. The founder is a place: its key is in the roster. */
export interface Identity {
  readonly cluster: ClusterId;
  /** Hash of the cluster's CA certificate: joiners pin it. */
  readonly ca: Hash;
  readonly founder: Place;
}

/** Total order by round, place, incarnation. Unique: a proposer never uses one twice, not even after amnesia. */
export interface Ballot {
  readonly round: number;
  readonly place: Place;
  readonly incarnation: Incarnation;
}

/** Positive when `a` is the later ballot. No ballot at all is the lowest. */
/** Rounds that one message may lead ahead: more than honest boards count in years, so that no word uses them up at once. */
const mostAhead = 2 ** 20;
/** Four bytes on the wire. */
export const lastRound = 0xffffffff;

/** Whether a ballot may be believed by who has used or seen rounds up to this one. */
export function isNear(ballot: Ballot | undefined, round: number): boolean {
  return ballot === undefined || ballot.round <= round + mostAhead;
}

export function compareBallots(a: Ballot | undefined, b: Ballot | undefined): number {
  if (a === undefined || b === undefined) return (a === undefined ? 0 : 1) - (b === undefined ? 0 : 1);
  return a.round - b.round || a.place - b.place || a.incarnation - b.incarnation;
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.cluster === b.cluster && a.ca === b.ca && a.founder === b.founder;
}

export interface Accepted {
  readonly ballot: Ballot;
  readonly value: Identity;
}

/** One elector's signed word, as it is kept in certificates and proofs. */
export interface Signed {
  readonly place: Place;
  readonly incarnation: Incarnation;
  readonly signature: Signature;
}

/** That a generation decided: a quorum's signed acceptances of one ballot. */
export interface Certificate {
  readonly generation: number;
  readonly ballot: Ballot;
  readonly value: Identity;
  readonly signers: readonly Signed[];
}

/** Why a next generation may open: a quorum lost the old one's only server, or that server's place lost its memory. */
export type Proof =
  | { readonly kind: 'lost'; readonly signers: readonly Signed[] }
  | { readonly kind: 'gone'; readonly signer: Signed };

/** All that a device needs to follow to a generation. Travels over TLS; datagrams only say that it exists. */
export interface Dossier {
  readonly generation: number;
  /** Certificate and proof of each generation before this one, oldest first. */
  readonly past: readonly Past[];
  readonly decided: Certificate | undefined;
}

/** A generation that is over: what it decided, and the proof that opened the one after it. */
export interface Past {
  readonly certificate: Certificate;
  readonly proof: Proof;
}
