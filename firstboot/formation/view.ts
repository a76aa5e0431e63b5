// What formation shows of itself, as data for status and page. Holds no secret.
import type { Place } from '../../formats/roster.ts';
import type { Alarm } from '../protocol/events.ts';
import type { Phase } from '../protocol/phases.ts';
import type { State } from '../protocol/state.ts';
import type { Milliseconds } from '../protocol/terms.ts';
import { peerSilent, serverSilent } from '../protocol/timings.ts';

export interface RaisedAlarm {
  readonly about: string;
  readonly at: Milliseconds;
}

export interface PlaceView {
  readonly place: Place;
  readonly name: string;
  /** This device itself, heard lately, heard once, or never since the agent started. */
  readonly seen: 'self' | 'now' | 'earlier' | 'never';
  /** What it last said it is. */
  readonly phase: Phase | null;
  readonly server: boolean;
  /** A server of the cluster that this device is in, or on its way into; not this device itself. */
  readonly ours: boolean;
  readonly eligible: boolean;
}

export interface FormationView {
  readonly phase: Phase;
  /** Seconds since. */
  readonly phaseFor: number;
  readonly role: 'none' | 'server' | 'agent';
  readonly policy: 'first-online' | 'majority' | 'designated';
  readonly epoch: number;
  /** The cluster this device is in, or on its way into. */
  readonly cluster: {
    readonly id: string;
    readonly founder: string;
    readonly servers: number;
    readonly members: number;
    /** The electors decided for it. */
    readonly decided: boolean;
  } | null;
  readonly places: readonly PlaceView[];
  /** A server of the device's cluster is heard, or it is one. */
  readonly serverHeard: boolean;
  readonly alarms: readonly { readonly alarm: Alarm; readonly about: string; readonly for: number }[];
}

/** The view of a state. `now` is of the same clock as the state's times. */
export function viewOf(
  state: State,
  alarms: ReadonlyMap<Alarm, RaisedAlarm>,
  now: Milliseconds,
): FormationView {
  const { site, record, phase, census } = state;
  const { membership, decided } = record;
  const seconds = (since: Milliseconds): number => Math.max(0, Math.floor((now - since) / 1000));
  const isServer = phase === 'serving' || phase === 'founding';
  const own = membership?.identity.cluster;
  const members = site.members.filter((member) => member !== undefined).filter((member) => !member.denied);
  const places = members.map(({ place, name, eligible }): PlaceView => {
    if (place === state.place)
      return { place, name, eligible, seen: 'self', phase, server: isServer, ours: false };
    const peer = state.peers[place];
    const hello = peer?.boot === undefined ? undefined : peer.hello;
    const server = hello?.cluster?.server === true;
    const silent = server ? serverSilent : peerSilent;
    // Members of a decided cluster say nothing any more: its servers count them.
    const seen =
      hello === undefined || peer === undefined ? 'never' : now - peer.heardAt < silent ? 'now' : 'earlier';
    const ours = server && hello.cluster.identity.cluster === own;
    return { place, name, eligible, seen, phase: hello?.phase ?? null, server, ours };
  });
  return {
    phase,
    phaseFor: seconds(state.since.phase),
    role: membership === undefined ? 'none' : membership.role === 'agent' ? 'agent' : 'server',
    policy: site.policy.kind,
    epoch: site.epoch,
    cluster:
      membership === undefined
        ? null
        : {
            id: membership.identity.cluster,
            founder:
              site.members[membership.identity.founder]?.name ?? `place ${membership.identity.founder}`,
            servers: census.servers,
            members: census.members,
            decided: decided?.value.cluster === own,
          },
    places,
    serverHeard: isServer || places.some(({ ours, seen }) => ours && seen === 'now'),
    alarms: [...alarms].map(([alarm, { about, at }]) => ({ alarm, about, for: seconds(at) })),
  };
}
