// Promise 5: a device that was a server never founds again by itself, as long as it has its memory.
import type { Board } from '../board.ts';
import type { Checker } from './checker.ts';

const promise = 'a device founds once';

export function foundsOnce(): Checker {
  const founded = new Map<Board, string>();
  return {
    promise,
    founding(world, board, { cluster }) {
      const before = founded.get(board);
      if (before !== undefined && before !== cluster) {
        world.violate(promise, `device ${board.place}: ${before}, then ${cluster}`);
      }
      founded.set(board, cluster);
    },
    wiped(_, board) {
      founded.delete(board);
    },
  };
}
