// Promise 4: what holds a person's data is never set aside. Nothing else ever moves a store, and nothing deletes one.
import type { Checker } from './checker.ts';

const promise = "a person's data is not touched";

export function dataKept(): Checker {
  return {
    promise,
    retired(world, board, cluster) {
      if (world.clusters.holdsData(cluster, board)) {
        world.violate(promise, `device ${board.place} sets ${cluster} aside, which holds data`);
      }
    },
  };
}
