// Where formation, k3s and the join channel meet: what each asks of the others.
import type { KeyObject } from 'node:crypto';
import type { Place } from '../../formats/roster.ts';
import type { Effect, Event } from '../protocol/events.ts';
import type { Site } from '../protocol/site.ts';
import type { ClusterId, Dossier } from '../protocol/terms.ts';

/** What the protocol wants done with k3s. Carried out one after the other, in order. */
export type ClusterEffect = Extract<
  Effect,
  {
    kind: 'makeIdentity' | 'startFounder' | 'startMember' | 'join' | 'testEmpty' | 'retire' | 'stopK3s';
  }
>;

type WithoutTime<E> = E extends Event ? Omit<E, 'now' | 'random'> : never;

/** What k3s tells the protocol. Formation adds the time. */
export type ClusterEvent = WithoutTime<
  Extract<
    Event,
    {
      kind: 'identity' | 'k3sReady' | 'joinRefused' | 'census' | 'role' | 'emptiness' | 'retired';
    }
  >
>;

export type Feed = (event: ClusterEvent) => void;

/** k3s on this device, as formation asks for it. Answers come as events through the `Feed` it was made with. */
export interface LocalCluster {
  /** The cluster whose store is on this disk; read once, before anything is carried out. */
  store(): Promise<ClusterId | undefined>;
  /** Whether k3s is there and fits this board; if not, why, in words for the status. */
  capable(): Promise<{ readonly capable: true } | { readonly capable: false; readonly why: string }>;
  /** Takes the effect and returns; never throws. What fails for now is tried again and said in `view`. */
  carryOut(effect: ClusterEffect): void;
  view(): ClusterStatus;
  /** The agent ends; k3s goes on. */
  stop(): Promise<void>;
}

/** What is said of k3s on the status page. Holds no secret. */
export interface ClusterStatus {
  readonly k3s: 'stopped' | 'starting' | 'running' | 'failed';
  readonly role: 'server' | 'agent' | undefined;
  /** What it is doing or waiting for, one phrase such as "imports the images of the slot"; undefined at rest. */
  readonly doing: string | undefined;
  /** The cluster's nodes, where this device can read them; undefined where it cannot. */
  readonly nodes: readonly ClusterNode[] | undefined;
  /** Each with what to do about it. */
  readonly problems: readonly string[];
}

export interface ClusterNode {
  readonly name: string;
  readonly role: 'server' | 'agent';
  readonly ready: boolean;
}

/** What k3s and the join channel may ask of formation; always as of now. */
export interface Neighbourhood {
  readonly place: Place;
  /** The device's Ed25519 private key: its identity on the channel. */
  readonly deviceKey: KeyObject;
  site(): Site;
  /** The roster file that `site` was read from. */
  rosterText(): string;
  /** What others fetch of the decisions known here. */
  dossier(): Dossier;
  /**
   * Addresses a place was heard from, the most useful first: its address on `site0` where this device is on it, IPv6
   * link-local ones with `%interface`, IPv4. Empty if it was not heard.
   */
  addressesOf(place: Place): readonly string[];
  /** Address of a place on `site0`, whether it was heard or not. */
  siteAddressOf(place: Place): string;
}

/** What formation asks of the join channel; each fails where the peer does not answer or must not be trusted. */
export interface Channel {
  /** The text of the peer's roster file; formation verifies it. */
  roster(from: Place): Promise<string>;
  /** Formation's protocol verifies what is in it. */
  dossier(from: Place): Promise<Dossier>;
}
