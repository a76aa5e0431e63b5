// Promise 9: no quorum is lost by an act of our own, no server that works is removed to be replaced, and budgets hold.
import { mostInADay } from '../../../firstboot/protocol/journal.ts';
import type { Checker } from './checker.ts';

const promise = 'servers are changed with care';

export function serversKept(): Checker {
  /** By cluster. */
  const replacements = new Map<string, number[]>();
  return {
    promise,
    deleted(world, by, cluster, name, quorum) {
      if (!quorum) world.violate(promise, `deleting ${name} lost the quorum of ${cluster}`);
      const operation = world.reconcilers?.kept(cluster).journal.operation;
      // A new one that is taken back, as the journal says, may well work.
      const takenBack = operation?.kind === 'grow' && operation.dead?.name === name;
      const board = world.boards.find((one) => one.k3s.name === name && one.k3s.serves(cluster));
      if (takenBack || board === undefined || !world.network.connects(by.index, board.index, world.now))
        return;
      // A kubelet that has just come back has not written its node yet.
      if ((world.reconcilers?.upFor(board) ?? 0) > 10_000)
        world.violate(promise, `${name} was deleted while it served`);
    },
    operation(world, by, kind, slack) {
      if (slack < 0) world.violate(promise, `device ${by.device}: a ${kind} began ${-slack} ms too early`);
      if (kind !== 'replace') return;
      const cluster = by.k3s.storeOf() ?? '';
      const today = [...(replacements.get(cluster) ?? []), world.now].filter(
        (at) => world.now - at < 86_400_000,
      );
      replacements.set(cluster, today);
      if (today.length > mostInADay) world.violate(promise, `${today.length} replacements in a day`);
    },
  };
}
