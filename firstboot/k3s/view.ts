// What a reconciler sees of its cluster, as the protocol's decisions want it. Pure but for its own memory of how long.
import type { Place } from '../../formats/roster.ts';
import type { ClusterView, NodeView } from '../protocol/roles.ts';
import type { Site } from '../protocol/site.ts';
import type { Milliseconds } from '../protocol/terms.ts';
import type { EtcdMember } from './api.ts';
import type { KeptJournal } from './journal.ts';
import type { ClusterNode } from './serving.ts';

export interface Sight {
  readonly nodes: readonly ClusterNode[];
  readonly members: readonly EtcdMember[];
  readonly kept: KeptJournal;
}

export interface Surroundings {
  readonly site: Site;
  readonly domainOf: (place: Place) => string;
  readonly addressOf: (place: Place) => string;
  readonly fit: (place: Place) => boolean;
}

/** How long each thing was seen without a change; begins anew with the reconciler. */
export class Watch {
  readonly #seen = new Map<string, { state: string; since: Milliseconds }>();

  /** Time since `name` was first seen in this state without a break. */
  lasts(name: string, state: string, now: Milliseconds): Milliseconds {
    const before = this.#seen.get(name);
    if (before?.state !== state) this.#seen.set(name, { state, since: now });
    return before?.state === state ? now - before.since : 0;
  }
}

export function viewOf(sight: Sight, around: Surroundings, watch: Watch, now: Milliseconds): ClusterView {
  const nodes = sight.nodes.flatMap((node): NodeView[] => {
    const member = around.site.members.find((one) => one?.name === node.name);
    if (member === undefined) return [];
    const etcd = memberOf(sight.members, around.addressOf(member.place));
    const server = etcd !== undefined || node.labelled;
    const voter = etcd?.voter === true;
    return [
      {
        place: member.place,
        name: node.name,
        uid: node.uid,
        resourceVersion: node.resourceVersion,
        eligible: member.eligible && !member.denied,
        class: member.class,
        domain: around.domainOf(member.place),
        server,
        voter,
        ready: node.ready,
        unchangedFor: watch.lasts(node.name, `${node.uid} ${server} ${voter} ${node.ready}`, now),
        fit: around.fit(member.place),
      },
    ];
  });
  return { nodes, quorum: true, journal: sight.kept.journal, journalVersion: sight.kept.version };
}

function memberOf(members: readonly EtcdMember[], address: string): EtcdMember | undefined {
  return members.find((member) => member.address === address);
}

/** Members that no node of theirs would take along: left by a server that ended while it was being added. */
export function orphansOf(
  sight: Sight,
  around: Surroundings,
  watch: Watch,
  now: Milliseconds,
): readonly { member: EtcdMember; name: string }[] {
  const { operation } = sight.kept.journal;
  return sight.members.flatMap((member) => {
    const place = around.site.members.find((one) => one && around.addressOf(one.place) === member.address);
    if (place === undefined || operation?.candidates.includes(place.place) === true) return [];
    const node = sight.nodes.find(({ name }) => name === place.name);
    const tied = node?.etcdName !== undefined && node.etcdName === member.name;
    const lasts = watch.lasts(`member ${member.address}`, `${member.name} ${tied}`, now);
    return !tied && lasts >= orphanAfter ? [{ member, name: place.name }] : [];
  });
}

/** k3s writes the annotations of a server within seconds of its start; a slow board has this long. */
const orphanAfter: Milliseconds = 300_000;
