// What was decided: checked before it is believed, kept for ever.
import { acceptanceStatement, type Signatures, verifyBy } from './signatures.ts';
import type { Site } from './site.ts';
import { type Certificate, never } from './terms.ts';
import type { Turn } from './turn.ts';

/** A quorum of different electors signed the acceptance of one identity in one ballot. */
export function certificateHolds(site: Site, signatures: Signatures, certificate: Certificate): boolean {
  const { generation, ballot, value, signers } = certificate;
  const electors = new Set(signers.map((signer) => signer.place).filter((p) => (site.slots[p] ?? -1) >= 0));
  if (electors.size !== signers.length || electors.size < site.quorum) return false;
  return signers.every((signer) => {
    const { place, incarnation, signature } = signer;
    const statement = acceptanceStatement(site, generation, ballot, value, place, incarnation);
    return verifyBy(signatures, site, place, statement, signature);
  });
}

/** Takes a decision that is known to hold for this device's generation. */
export function learnDecision(turn: Turn, certificate: Certificate): void {
  const { state } = turn;
  if (state.record.decided !== undefined) return;
  turn.note('decision: learned');
  turn.write({ decided: certificate });
  state.proposal = undefined;
  turn.since('serverless');
  turn.due('propose', never);
  turn.helloWithin(0);
  turn.dueBy('watch', turn.now);
}
