// Statements that outlive their message, and the interface by which they are signed and checked. Real: ed25519.ts.
import type { Place } from '../../formats/roster.ts';
import type { Site } from './site.ts';
import type { Ballot, ClusterId, Identity, Incarnation, PublicKey, Signature } from './terms.ts';

export interface Signatures {
  /** Signs with this device's own key. */
  sign(statement: string): Signature;
  verify(key: PublicKey, statement: string, signature: Signature): boolean;
}

const scope = (site: Site, generation: number) => `edgekiln|${site.name}|${site.electorsHash}|${generation}`;

/** "I, place and incarnation, accepted this identity in this ballot." */
export function acceptanceStatement(
  site: Site,
  generation: number,
  ballot: Ballot,
  value: Identity,
  place: Place,
  incarnation: Incarnation,
): string {
  const b = `${ballot.round}.${ballot.place}.${ballot.incarnation}`;
  const v = `${value.cluster}.${value.ca}.${value.founder}`;
  return `accepted|${scope(site, generation)}|${b}|${v}|${place}|${incarnation}`;
}

/**
 * `silent`: "I heard no server of this generation's cluster for so long; it had one server and nothing of a person's."
 * `gone`: "I am the place that alone served this cluster, and I hold nothing of it."
 */
export function lossStatement(
  cause: 'silent' | 'gone',
  site: Site,
  generation: number,
  cluster: ClusterId,
  place: Place,
  incarnation: Incarnation,
): string {
  return `${cause}|${scope(site, generation)}|${cluster}|${place}|${incarnation}`;
}

/** Whether the place's own key signed the statement, as the roster or the table has it; or one that had the place before. */
export function verifyBy(
  signatures: Signatures,
  site: Site,
  place: Place,
  statement: string,
  signature: Signature,
): boolean {
  const member = site.members[place];
  if (member?.key === undefined) return false;
  const by = (key: PublicKey): boolean => signatures.verify(key, statement, signature);
  return by(member.key) || member.former?.some(by) === true;
}
