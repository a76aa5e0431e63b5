// Everything a device knows. Only `record` outlives a restart.
import type { Place } from '../../formats/roster.ts';
import type { Alarm } from './events.ts';
import type { Hello } from './messages.ts';
import type { Phase } from './phases.ts';
import type { Record } from './record.ts';
import type { Site } from './site.ts';
import type {
  Accepted,
  Ballot,
  BootId,
  Challenge,
  ClusterId,
  Identity,
  Incarnation,
  Milliseconds,
  Signed,
} from './terms.ts';

/** One other place, as far as it was heard. */
export interface Peer {
  readonly place: Place;
  /** The boot that answered our challenge; undefined until one did. */
  readonly boot: BootId | undefined;
  readonly provenAt: Milliseconds;
  /** Boots that were proven before this one, latest last. */
  readonly formerBoots: readonly BootId[];
  readonly incarnation: Incarnation;
  /** Highest sequence of the boot, and which of the 32 before it were seen (bit 0: the highest itself). */
  readonly sequence: number;
  readonly seen: number;
  readonly heardAt: Milliseconds;
  /** Challenge to echo to the proven boot, and those of boots that are not proven. */
  readonly challenge: Challenge | undefined;
  readonly strangers: readonly { readonly boot: BootId; readonly challenge: Challenge }[];
  /** It waits for an echo. */
  readonly owed: boolean;
  /** The proven boot's last hello, its generation, and when it first said that it could found. */
  readonly hello: Hello | undefined;
  readonly generation: number;
  readonly canFoundSince: Milliseconds | undefined;
  /** Since when it says that it founds, without a break. */
  readonly foundingSince: Milliseconds | undefined;
}

/** A ballot under way. */
export interface Proposal {
  readonly ballot: Ballot;
  readonly stage: 'preparing' | 'accepting';
  readonly challenge: Challenge;
  readonly value: Identity;
  readonly until: Milliseconds;
  readonly promises: readonly Promise[];
  readonly acceptances: readonly Acceptance[];
  readonly promisers: readonly (Incarnation | 0)[];
}

export interface Promise {
  readonly place: Place;
  readonly incarnation: Incarnation;
  readonly vector: readonly (Incarnation | 0)[];
  readonly accepted: Accepted | undefined;
}

export interface Acceptance extends Signed {
  readonly vector: readonly (Incarnation | 0)[];
}

/** What other electors told one that lost its memory. */
export interface Recovery {
  readonly since: Milliseconds;
  readonly challenge: Challenge;
  readonly answers: readonly {
    readonly place: Place;
    readonly promised: Ballot | undefined;
    readonly accepted: Accepted | undefined;
  }[];
}

export interface State {
  readonly site: Site;
  readonly place: Place;
  readonly boot: BootId;
  readonly capable: boolean;

  readonly record: Record;
  /** What the disk was last asked to hold, and what it is known to hold. */
  readonly asked: Record | undefined;
  readonly durable: Record | undefined;
  readonly diskFailed: boolean;

  /** The cluster whose k3s store is on the disk. */
  readonly store: ClusterId | undefined;
  readonly phase: Phase;
  readonly phaseSince: Milliseconds;
  readonly carrierAt: Milliseconds | undefined;
  readonly sequence: number;
  readonly challenge: Challenge;
  readonly challengeAt: Milliseconds;
  readonly formerChallenge: Challenge;
  /** By place. */
  readonly peers: readonly (Peer | undefined)[];
  readonly alarms: readonly Alarm[];
  /** Another board speaks for this place: this one votes no more. */
  readonly cloned: boolean;

  /** This server's cluster, from its own API. */
  readonly census: { readonly servers: number; readonly members: number; readonly data: boolean };

  readonly proposal: Proposal | undefined;
  readonly failedBallots: number;
  readonly recovery: Recovery | undefined;
  readonly losses: readonly {
    readonly signed: Signed;
    readonly cluster: string;
    readonly at: Milliseconds;
  }[];
  /** Since when no server was heard, while a quorum of electors was. */
  readonly serverlessSince: Milliseconds;
  /** Since when no server of its own cluster was heard. */
  readonly aloneSince: Milliseconds;
  readonly joinAgainAt: Milliseconds;
  readonly fetching: { readonly from: Place; readonly until: Milliseconds } | undefined;

  /** When each timer is due; Infinity where it is not set. */
  readonly helloAt: Milliseconds;
  readonly lastHello: Milliseconds;
  /** Place whose echo comes first in the next hello. */
  readonly echoFrom: number;
  readonly settleAt: Milliseconds;
  readonly proposeAt: Milliseconds;
  readonly watchAt: Milliseconds;
  readonly recoverAt: Milliseconds;
  readonly diskRetryAt: Milliseconds;
}

/** When the device next needs a `tick` if nothing else happens. */
export function wakeAt(state: State): Milliseconds {
  return Math.min(
    state.helloAt,
    state.settleAt,
    state.proposeAt,
    state.watchAt,
    state.recoverAt,
    state.diskRetryAt,
  );
}
