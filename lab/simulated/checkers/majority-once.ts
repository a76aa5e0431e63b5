// Promise 3: with the policies that ask first, a site never has two clusters; a designated one only its own founder's.
import type { Certificate } from '../../../firstboot/protocol/terms.ts';
import type { Checker } from './checker.ts';

const promise = 'majority never has two clusters';

export function majorityOnce(): Checker {
  let founded: { cluster: string; certificate: Certificate | undefined } | undefined;
  return {
    promise,
    founding(world, board, { cluster }) {
      const { policy } = world.scenario;
      if (policy === 'first-online') return;
      const certificate = board.disk.durable?.decided;
      const other = founded !== undefined && founded.cluster !== cluster ? founded : undefined;
      const excused =
        other?.certificate !== undefined &&
        certificate !== undefined &&
        world.memory.excuses(world, other.certificate, certificate);
      if (other !== undefined && !excused) world.violate(promise, `${other.cluster} and ${cluster}`);
      if (certificate?.value.cluster !== cluster) world.violate(promise, `${cluster} founds undecided`);
      if (policy.startsWith('designated') && policy !== `designated: ${board.place}`) {
        world.violate(promise, `device ${board.place} founds, policy ${policy}`);
      }
      founded = { cluster, certificate };
    },
  };
}
