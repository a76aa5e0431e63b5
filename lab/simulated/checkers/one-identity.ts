// Promise 1: a generation decides one identity; see memory.ts for what is not promised.
import { type Certificate, sameIdentity } from '../../../firstboot/protocol/terms.ts';
import { majorityOf } from '../memory.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

const promise = 'one identity a generation';

export function oneIdentity(): Checker {
  const decided = new Map<number, Certificate[]>();
  const judged = new WeakSet<Certificate>();
  return {
    promise,
    persisted(world, _, { decided: certificate }) {
      if (certificate === undefined || judged.has(certificate)) return;
      judged.add(certificate);
      const { generation, value } = certificate;
      if (!decidedIndeed(world, certificate))
        world.violate(promise, `generation ${generation}: forged for ${value.cluster}`);
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

/** Did a quorum of different electors sign just this: the generation, the ballot, the identity? */
export function decidedIndeed(world: World, { generation, ballot, value, signers }: Certificate): boolean {
  const electors = world.boards[0]?.stamped.electors ?? [];
  const places = new Set(signers.map(({ place }) => place).filter((one) => electors.includes(one)));
  const { round, place: by, incarnation: life } = ballot;
  const words = `|${generation}|${round}.${by}.${life}|${value.cluster}.${value.ca}.${value.founder}|`;
  const genuine = signers.every(
    ({ place, incarnation, signature }) =>
      world.signed(place, 'accepted', signature) && signature.endsWith(`${words}${place}|${incarnation}`),
  );
  return genuine && places.size === signers.length && places.size >= majorityOf(electors.length);
}
