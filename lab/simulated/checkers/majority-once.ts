// Promise 3: with the policies that ask first, a site never has two clusters; a designated one only its own founder's.
import type { Checker } from './checker.ts';

const promise = 'majority never has two clusters';

export function majorityOnce(): Checker {
  let founded: string | undefined;
  return {
    promise,
    founding(world, board, { cluster }) {
      const { policy } = world.scenario;
      if (policy === 'first-online') return;
      if (founded !== undefined && founded !== cluster) world.violate(promise, `${founded} and ${cluster}`);
      if (policy.startsWith('designated') && policy !== `designated: ${board.place}`) {
        world.violate(promise, `device ${board.place} founds, policy ${policy}`);
      }
      founded = cluster;
    },
  };
}
