// Promise 8: in a claimed site a board speaks only under the place that a table on its disk gives it, no place of a table is
// given to two boards, and only one table decides as long as no more boards come than there are places.
import type { PublicKey } from '../../../firstboot/protocol/terms.ts';
import type { Checker } from './checker.ts';

const promise = 'one table decides, one board a place';

export function boundOnce(): Checker {
  /** By table and place. */
  const owners = new Map<string, PublicKey>();
  const replaced = new Set<PublicKey>();
  let decides: PublicKey | undefined;
  return {
    promise,
    sent(world, from, { body, from: place }) {
      if (!from.stamped.claimed || from.stolen || body.kind === 'claim') return;
      const table = from.disk.durable?.claim?.held?.table;
      const entry = table?.entries.find((one) => one.place === place);
      if (entry?.key !== from.key) world.violate(promise, `device ${from.device} speaks as place ${place}`);
    },
    persisted(world, board, { claim, decided }) {
      const table = claim?.held?.table;
      if (table === undefined) return;
      for (const { place, key, former } of table.entries) {
        const named = `${table.founder} ${place}`;
        for (const one of former) replaced.add(one);
        const before = owners.get(named);
        if (before === undefined || replaced.has(before)) owners.set(named, key);
        else if (before !== key && !replaced.has(key))
          world.violate(promise, `place ${place} is given twice, device ${board.device}`);
      }
      if (decided === undefined) return;
      if (decides !== undefined && decides !== table.founder && !world.overcrowded)
        world.violate(promise, `two tables decided, device ${board.device}`);
      decides ??= table.founder;
    },
  };
}
