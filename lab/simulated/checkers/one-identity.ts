// Promise 1: a generation decides one identity; see memory.ts for what is not promised.
import { type Certificate, sameIdentity } from '../../../firstboot/protocol/terms.ts';
import { keyOf } from '../seals.ts';
import type { Checker } from './checker.ts';

const promise = 'one identity a generation';

export function oneIdentity(): Checker {
  const decided = new Map<number, Certificate>();
  return {
    promise,
    persisted(world, _, { decided: certificate }) {
      if (certificate === undefined) return;
      const { generation, value, signers } = certificate;
      // Signatures of the model name their signer: read here without the protocol's own functions.
      const genuine = signers.every(({ place, signature }) =>
        signature.startsWith(`${keyOf(place)}|accepted|`),
      );
      if (!genuine) world.violate(promise, `generation ${generation}: forged for ${value.cluster}`);
      const before = decided.get(generation);
      if (before === undefined) decided.set(generation, certificate);
      else if (!sameIdentity(before.value, value) && !world.memory.excuses(world, before, certificate)) {
        world.violate(promise, `generation ${generation}: ${before.value.cluster} and ${value.cluster}`);
      }
    },
  };
}
