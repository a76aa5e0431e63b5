// Promise 1: a generation decides one identity; see memory.ts for what is not promised.
import { type Certificate, sameIdentity } from '../../../firstboot/protocol/terms.ts';
import type { Checker } from './checker.ts';

const promise = 'one identity a generation';

export function oneIdentity(): Checker {
  const decided = new Map<number, Certificate[]>();
  return {
    promise,
    persisted(world, _, { decided: certificate }) {
      if (certificate === undefined) return;
      const { generation, value, signers } = certificate;
      const genuine = signers.every(({ place, signature }) => world.signed(place, 'accepted', signature));
      if (!genuine) world.violate(promise, `generation ${generation}: forged for ${value.cluster}`);
      // Judged when it is first on a disk: who knew whom then is what counts, not what is learned later.
      const known = decided.get(generation) ?? [];
      if (known.some((other) => sameIdentity(other.value, value))) return;
      for (const other of known) {
        if (!world.memory.excuses(world, other, certificate))
          world.violate(promise, `generation ${generation}: ${other.value.cluster} and ${value.cluster}`);
      }
      decided.set(generation, [...known, certificate]);
    },
  };
}
