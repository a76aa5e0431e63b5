// What happens to a device (events), and what it wants done (effects).
import type { Place } from '../../formats/roster.ts';
import type { SignedTable } from './claims.ts';
import type { Message } from './messages.ts';
import type { TransitionName } from './phases.ts';
import type { Record } from './record.ts';
import type { Site } from './site.ts';
import type { BootId, ClusterId, Dossier, Identity, Incarnation, Milliseconds, PublicKey } from './terms.ts';

/** Every event carries the device's monotonic time and 48 fresh random bits. */
interface At {
  readonly now: Milliseconds;
  readonly random: number;
}

/** The agent starts. Not an event of `step`: it makes the first state. */
export interface Start extends At {
  readonly site: Site;
  readonly place: Place;
  readonly boot: BootId;
  /** Used if there is no record: 48 random bits. */
  readonly incarnation: Incarnation;
  /** What the disk holds; undefined where it holds none. */
  readonly record: Record | undefined;
  /** The cluster whose k3s store is on the disk. */
  readonly store: ClusterId | undefined;
  /** k3s is there and fits this board. */
  readonly capable: boolean;
  /** Claimed sites: this board's key and hardware class. Its `place` is then what its record says, not what this says. */
  readonly board?: Board;
}

/** What tells boards of a claimed site apart. */
export interface Board {
  readonly key: PublicKey;
  readonly class: number;
}

export type Event = At &
  (
    | { readonly kind: 'tick' }
    | { readonly kind: 'message'; readonly message: Message }
    | { readonly kind: 'carrier'; readonly up: boolean }
    /** The record of a `persist` is on disk, synced. */
    | { readonly kind: 'persisted'; readonly record: Record }
    /** It could not be written; effects that came after it were not done. */
    | { readonly kind: 'diskFailed' }
    /** A CA was made, and is on disk. */
    | { readonly kind: 'identity'; readonly identity: Identity }
    /** k3s on this device answered. As founder or server: its API; as agent: its node is in the cluster. */
    | { readonly kind: 'k3sReady'; readonly cluster: ClusterId }
    | { readonly kind: 'joinRefused'; readonly cluster: ClusterId; readonly why: string }
    /** What a server reads from its own API, whenever it changes. */
    | { readonly kind: 'census'; readonly servers: number; readonly members: number; readonly data: boolean }
    /** This device's role in its cluster changed (promotion, demotion). */
    | { readonly kind: 'role'; readonly role: 'server' | 'agent' }
    /** Answer to `testEmpty`. `unknown` counts as not empty. */
    | { readonly kind: 'emptiness'; readonly empty: boolean }
    | { readonly kind: 'retired'; readonly cluster: ClusterId }
    | { readonly kind: 'dossier'; readonly from: Place; readonly dossier: Dossier }
    /** A roster whose signature was verified: from a peer, a file or the stamp. */
    | { readonly kind: 'roster'; readonly site: Site }
    /** A table that was fetched, or that a person brought; its signature is not checked yet. */
    | { readonly kind: 'table'; readonly signed: SignedTable }
    /** A person gives the place to another board, or ends enrolment; counts where the table was opened. */
    | { readonly kind: 'replace'; readonly place: Place; readonly key: PublicKey }
    | { readonly kind: 'closeEnrolment' }
    /** A person says: go on from here. */
    | { readonly kind: 'resolve' }
  );

/** Why a device asks for a person. */
export type Alarm =
  | 'roster-fork'
  | 'electors-changed'
  | 'foreign-electors'
  | 'clone'
  | 'denied'
  | 'disk'
  | 'holds-data'
  | 'two-clusters'
  | 'memory-lost'
  | 'founder-lost'
  | 'join-refused'
  | 'table-conflict'
  | 'no-place';

/**
 * What is to be done, in order, across steps too: nothing after a `persist` happens before it is on disk. If it
 * fails, what waits behind it is dropped and `diskFailed` follows.
 */
export type Effect =
  | { readonly kind: 'send'; readonly message: Message }
  | { readonly kind: 'persist'; readonly record: Record }
  /** Make a CA and answer `identity`. */
  | { readonly kind: 'makeIdentity' }
  /** Start k3s as founder: with `cluster-init` if the permit is unspent and there is no store yet. */
  | { readonly kind: 'startFounder'; readonly identity: Identity; readonly permit: boolean }
  /** Start k3s in a role it already has. */
  | { readonly kind: 'startMember'; readonly identity: Identity; readonly role: 'server' | 'agent' }
  | { readonly kind: 'join'; readonly identity: Identity; readonly by: Place }
  /** Stop k3s, then look whether a person has put anything into its store or this node's storage; answer `emptiness`. */
  | { readonly kind: 'testEmpty'; readonly cluster: ClusterId }
  /** Set the stopped k3s' directories aside under the cluster's id; answer `retired`. Deletes nothing. */
  | { readonly kind: 'retire'; readonly cluster: ClusterId }
  | { readonly kind: 'stopK3s' }
  | { readonly kind: 'fetchDossier'; readonly from: Place }
  | { readonly kind: 'fetchRoster'; readonly from: Place }
  /** The table named by this key, from the board at that place of it; answer `table`. */
  | { readonly kind: 'fetchTable'; readonly founder: PublicKey; readonly from: Place }
  | { readonly kind: 'alarm'; readonly alarm: Alarm; readonly about: string }
  | { readonly kind: 'entered'; readonly transition: TransitionName }
  /** A rule was used: for the log, and for tests to know that it was reached. */
  | { readonly kind: 'note'; readonly rule: Rule };

/** Rules worth a line in the log, by the section of docs/formation.md that states them. */
export type Rule =
  | 'discovery: proven'
  | 'discovery: copy dropped'
  | 'discovery: clone'
  | 'decision: promised'
  | 'decision: refused a promise'
  | 'decision: accepted'
  | 'decision: refused an acceptance'
  | 'decision: adopted an older value'
  | 'decision: decided'
  | 'decision: learned'
  | 'amnesia: noticed'
  | 'amnesia: answered'
  | 'amnesia: recovered'
  | 'generation: lost'
  | 'generation: gone'
  | 'generation: opened'
  | 'generation: followed'
  | 'generation: dossier refused'
  | 'founding: waits its turn'
  | 'founding: turn lost'
  | 'founding: alone'
  | 'membership: retired while away'
  | 'membership: undecided and alone'
  | 'membership: founder gone'
  | 'roster: adopted'
  | 'roster: older ignored'
  | 'enrolment: opened'
  | 'enrolment: handed out'
  | 'enrolment: bound'
  | 'enrolment: table refused'
  | 'enrolment: withdrawn'
  | 'enrolment: another was decided'
  | 'enrolment: founder is elsewhere'
  | 'enrolment: replaced'
  | 'disk: failed'
  | 'disk: works again';
