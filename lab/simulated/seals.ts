// Signatures for seeds: cannot be forged by anything in the simulator, because only a board's own seals make them.
import type { Signatures } from '../../firstboot/protocol/signatures.ts';
import type { PublicKey, Signature } from '../../firstboot/protocol/terms.ts';

/** Key of a place; every board with the same stamp has it. As with real keys its first bytes tell it apart: they name tables. */
export function keyOf(place: number): PublicKey {
  return place.toString(16).padStart(16, '0').repeat(4) as PublicKey;
}

export function sealsOf(place: number): Signatures {
  const own = keyOf(place);
  return {
    sign: (statement) => `${own}|${statement}` as Signature,
    verify: (key, statement, signature) => signature === `${key}|${statement}`,
  };
}
