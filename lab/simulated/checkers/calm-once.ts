// Promise 7: where nothing fails, a site founds one cluster, whenever its boards are switched on.
import type { Checker } from './checker.ts';

const promise = 'a calm site founds once';

export function calmOnce(): Checker {
  let founded: string | undefined;
  return {
    promise,
    founding(world, board, { cluster }) {
      const { schedule, spanningTree } = world.scenario;
      const calm = schedule.every((fault) => fault.at * 1000 > world.now || fault.event === 'power-on');
      if (!calm || spanningTree) return;
      if (founded !== undefined && founded !== cluster)
        world.violate(promise, `${founded}, and ${cluster} by device ${board.place}`);
      founded = cluster;
    },
  };
}
