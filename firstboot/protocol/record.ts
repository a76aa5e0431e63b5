// What a device keeps on disk, and must keep before it says it. How it lies on the disk: recordfile.ts.
import { type Claim, noClaim } from './claims.ts';
import type { Incarnations } from './messages.ts';
import type { Site } from './site.ts';
import type { Accepted, Ballot, Certificate, ClusterId, Hash, Identity, Incarnation, Past } from './terms.ts';

export type Role = 'founder' | 'server' | 'agent';

/** The cluster that a device is in, or is on its way into. */
export interface Membership {
  readonly identity: Identity;
  readonly role: Role;
  /** Its k3s was up once. For a founder: the founding permit is spent. */
  readonly ready: boolean;
  /** The cluster showed a second server: it is no longer one device's to give up. */
  readonly shared: boolean;
}

export interface Record {
  readonly incarnation: Incarnation;
  /** This place had another incarnation: it neither promises nor accepts until enough others told it what it may have said. */
  readonly amnesiac: boolean;
  /** Incarnations this place had before this one, as far as it was told. */
  readonly recoveredFrom: readonly Incarnation[];
  readonly vector: Incarnations;
  /** Incarnations that a newer one replaced: if one of them speaks again, the place is cloned. */
  readonly superseded: readonly Incarnation[];
  readonly epoch: number;
  readonly roster: Hash;

  readonly generation: number;
  readonly past: readonly Past[];
  readonly promised: Ballot | undefined;
  readonly accepted: Accepted | undefined;
  readonly decided: Certificate | undefined;
  /** Highest round this device has used or seen. */
  readonly round: number;

  /** The identity it proposes before it founds (majority, designated). */
  readonly candidate: Identity | undefined;
  readonly membership: Membership | undefined;
  /** It was a server once, of any cluster: it never founds again by itself. */
  readonly wasServer: boolean;
  /** The cluster it was the only server of, and has set aside. */
  readonly retired: ClusterId | undefined;
  /** What the decided cluster last said of itself. */
  readonly seen: Seen | undefined;
  /** In a claimed site: which table this board is bound to. */
  readonly claim: Claim | undefined;
}

/** What is known of a cluster from its servers' own words; sticky, because a server that is lost cannot be asked. */
export interface Seen {
  readonly cluster: ClusterId;
  readonly data: boolean;
  readonly shared: boolean;
}

/** The record of a device that remembers nothing. */
export function freshRecord(site: Site, slot: number, incarnation: Incarnation): Record {
  return {
    incarnation,
    amnesiac: false,
    recoveredFrom: [],
    vector: site.electors.map((_, index) => (index === slot ? incarnation : 0)),
    superseded: [],
    epoch: site.epoch,
    roster: site.hash,
    generation: 1,
    past: [],
    promised: undefined,
    accepted: undefined,
    decided: undefined,
    round: 0,
    candidate: undefined,
    membership: undefined,
    wasServer: false,
    retired: undefined,
    seen: undefined,
    claim: site.claimed ? noClaim : undefined,
  };
}
