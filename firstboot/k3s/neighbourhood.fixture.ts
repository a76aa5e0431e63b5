// A site of so many devices as one of them sees it, for tests: all named n1, n2, …, all eligible.
import { generateKeyPairSync } from 'node:crypto';
import { type Place, place } from '../../formats/roster.ts';
import type { Neighbourhood } from '../formation/cluster.ts';
import type { Member, Site } from '../protocol/site.ts';
import type { Dossier, Hash, PublicKey, ShortHash } from '../protocol/terms.ts';

export interface Given {
  /** Whose view it is. */
  readonly place: number;
  readonly count: number;
  /** Changes of members, by place. */
  readonly members?: Readonly<Record<number, Partial<Member>>>;
  readonly addresses?: (of: Place) => string;
  readonly dossier?: () => Dossier;
}

export function siteOf({ count, members = {} }: Pick<Given, 'count' | 'members'>): Site {
  const all = Array.from({ length: count }, (_, index): Member => {
    const key = `${index + 1}` as PublicKey;
    const member = {
      place: place(index + 1),
      name: `n${index + 1}`,
      key,
      eligible: true,
      class: 5,
      denied: false,
    };
    return { ...member, ...members[index + 1] };
  });
  return {
    name: 't',
    epoch: 1,
    hash: '' as Hash,
    previous: undefined,
    policy: { kind: 'first-online' },
    claimed: false,
    refound: false,
    members: [undefined, ...all],
    electors: [place(1)],
    slots: [-1, 0, ...all.slice(1).map(() => -1)],
    electorsHash: '' as ShortHash,
    rosterElectors: '' as ShortHash,
    deniedKeys: [],
    quorum: 1,
  };
}

export function neighbourhoodOf(given: Given): Neighbourhood {
  const { addresses = (of: Place) => `198.18.7.${of}` } = given;
  return {
    place: place(given.place),
    deviceKey: generateKeyPairSync('ed25519').privateKey,
    site: () => siteOf(given),
    rosterText: () => '\n{"places":[]}',
    dossier: given.dossier ?? (() => ({ generation: 1, past: [], decided: undefined })),
    addressesOf: (of) => [addresses(of)],
    siteAddressOf: addresses,
  };
}
