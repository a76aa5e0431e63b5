// How long a site took to found, and to decide: what `p50_s` and the others are made of.
import type { Board } from './board.ts';
import type { World } from './world.ts';

interface Taken {
  /** Milliseconds of virtual time. */
  readonly at: number;
  /** Seconds since all that it waits for had power. */
  readonly after: number | undefined;
}

export class Stopwatch {
  /** See `Result.foundedAfter`. */
  founded: Taken = { at: Number.POSITIVE_INFINITY, after: undefined };
  /** See `Result.decidedAfter`. */
  decided: Taken = { at: Number.POSITIVE_INFINITY, after: undefined };

  /** The founder, and a majority of electors where they are asked first. */
  onFounding({ now, scenario, boards }: World, founder: Board): void {
    if (this.founded.after !== undefined) return;
    const since = scenario.policy === 'first-online' ? founder.poweredAt : majoritySince(boards, founder);
    this.founded = { at: now, after: (now - since) / 1000 };
  }

  onDecided({ now, boards }: World, founder: Board | undefined): void {
    if (this.decided.after !== undefined) return;
    const after = founder === undefined ? undefined : (now - majoritySince(boards, founder)) / 1000;
    this.decided = { at: now, after };
  }
}

function majoritySince(boards: readonly Board[], founder: Board): number {
  const { electors, quorum } = founder.stamped;
  const powered = boards
    .filter((board) => board.powered && electors.includes(board.place))
    .map((board) => board.poweredAt)
    .sort((a, b) => a - b);
  return Math.max(founder.poweredAt, powered[quorum - 1] ?? founder.poweredAt);
}
