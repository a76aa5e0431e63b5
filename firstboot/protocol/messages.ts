// What devices say to each other. A message is true when its envelope's signature is; see envelope.ts.
import type { Place } from '../../formats/roster.ts';
import type { Phase } from './phases.ts';
import type {
  Accepted,
  Ballot,
  BootId,
  Challenge,
  ClusterId,
  Identity,
  Incarnation,
  PublicKey,
  ShortHash,
  Signature,
} from './terms.ts';

/** Incarnation of each elector as the sender knows it, in the order of the electors; 0 where it knows none. */
export type Incarnations = readonly (Incarnation | 0)[];

/** A cluster that the sender is in, or is founding. */
export interface Cluster {
  readonly identity: Identity;
  /** Whether its API answered; a founder's first start takes seconds to minutes. */
  readonly ready: boolean;
  /** The sender is one of its servers. */
  readonly server: boolean;
  readonly servers: number;
  readonly members: number;
  /** Whether it holds anything that a person put there. */
  readonly data: boolean;
}

/** Said to everybody: I am here, this is what I am, and these challenges I have heard. */
export interface Hello {
  readonly kind: 'hello';
  readonly phase: Phase;
  /** Whether it could found, were it first in rank. */
  readonly canFound: boolean;
  readonly cluster: Cluster | undefined;
  /** The decided cluster of the sender's generation. */
  readonly decided: ClusterId | undefined;
  /** A cluster whose only server this place was, and of which it holds nothing any more. */
  readonly gone: ClusterId | undefined;
  readonly epoch: number;
  readonly roster: ShortHash;
  /** In a claimed site: serial of the sender's table. */
  readonly serial?: number | undefined;
  readonly vector: Incarnations;
  readonly challenge: Challenge;
  readonly echoes: readonly Echo[];
}

export interface Echo {
  readonly place: Place;
  readonly challenge: Challenge;
}

export interface Prepare {
  readonly kind: 'prepare';
  readonly ballot: Ballot;
  readonly challenge: Challenge;
}

/** Answer to a prepare; a promise where `promised` is the ballot that was asked for, else a refusal. */
export interface Promised {
  readonly kind: 'promise';
  readonly ballot: Ballot;
  readonly promised: Ballot | undefined;
  readonly accepted: Accepted | undefined;
  readonly vector: Incarnations;
  readonly echo: Challenge;
}

export interface Accept {
  readonly kind: 'accept';
  readonly ballot: Ballot;
  readonly value: Identity;
  /** Incarnations of those whose promises stand behind it; 0 for the others. */
  readonly promisers: Incarnations;
  readonly challenge: Challenge;
}

export interface AcceptedAnswer {
  readonly kind: 'accepted';
  readonly ballot: Ballot;
  /** The acceptance, signed for the certificate; absent in a refusal. */
  readonly signature: Signature | undefined;
  readonly promised: Ballot | undefined;
  readonly vector: Incarnations;
  readonly echo: Challenge;
}

/** An elector that was told it had another incarnation asks what it may have said. */
export interface Recover {
  readonly kind: 'recover';
  /** The highest ballot it promised; it did so before it noticed, or after it recovered. */
  readonly promised: Ballot | undefined;
  readonly challenge: Challenge;
}

export interface Recovered {
  readonly kind: 'recovered';
  readonly promised: Ballot | undefined;
  readonly accepted: Accepted | undefined;
  readonly vector: Incarnations;
  readonly echo: Challenge;
}

/**
 * A signed word towards the next generation. `silent`: an elector heard no server of the decided cluster for long.
 * `gone`: the place that was its only server holds nothing of it any more.
 */
export interface Loss {
  readonly kind: 'loss';
  readonly cause: 'silent' | 'gone';
  readonly cluster: ClusterId;
  readonly signature: Signature;
}

/** Claimed sites: a board without a place asks who hands out some; one with a place asks whether another table lives. */
export interface ClaimBody {
  readonly kind: 'claim';
  /** The sender's own key: it is in no roster, so the message carries it. */
  readonly key: PublicKey;
  readonly class: number;
  /** Whether it could open enrolment, were it first in rank. */
  readonly canFound: boolean;
  /** The table it wants a place of, and the newest challenge of that table's founder: without it no place is given. */
  readonly wants: PublicKey | undefined;
  readonly echo: Challenge | undefined;
  /** It opened a table before, and gave it up. */
  readonly withdrew: boolean;
  readonly challenge: Challenge;
}

/** Claimed sites: "this table lives." Said by its founder and by servers. */
export interface Offer {
  readonly kind: 'offer';
  readonly key: PublicKey;
  /** The key that names the table. */
  readonly founder: PublicKey;
  readonly serial: number;
  /** Places that it lists. */
  readonly listed: number;
  /** Places are still handed out by the sender. */
  readonly open: boolean;
  readonly cluster: Cluster | undefined;
  readonly decided: ClusterId | undefined;
  readonly challenge: Challenge;
  /** Challenges of the claims it answers, each with the place that the table has for the claiming board; 0: none. */
  readonly answers: readonly Answer[];
}

export interface Answer {
  readonly place: Place | 0;
  readonly challenge: Challenge;
}

export type Body =
  | Hello
  | Prepare
  | Promised
  | Accept
  | AcceptedAnswer
  | Recover
  | Recovered
  | Loss
  | ClaimBody
  | Offer;

export interface Message {
  /** 0 in a claim of a board without a place. */
  readonly from: Place;
  /** 0 for everybody. */
  readonly to: Place | 0;
  readonly site: string;
  readonly electors: ShortHash;
  readonly boot: BootId;
  /** Grows by one with every message of a boot. */
  readonly sequence: number;
  readonly incarnation: Incarnation;
  readonly generation: number;
  readonly body: Body;
}
