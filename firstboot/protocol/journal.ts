// The reconciler's journal: an object in the cluster, written by compare-and-set only. Its clock is time that
// reconcilers have watched, added up; no wall clock, so a jump of time opens no budget.
import type { Place } from '../../formats/roster.ts';
import type { JournalChange } from './roles.ts';
import type { Milliseconds } from './terms.ts';

/** One whole change of the servers, however many steps it takes. */
export interface Operation {
  readonly id: number;
  readonly kind: 'grow' | 'replace';
  readonly candidates: readonly Place[];
  /** Given up before, or the dead one itself. */
  readonly tried: readonly Place[];
  /** What is deleted: the dead server that is replaced, or a new voter that is taken back. */
  readonly dead:
    | { readonly name: string; readonly uid: string; readonly resourceVersion: string }
    | undefined;
  /** Watched time since it began, or since a candidate was last named or started. */
  readonly age: Milliseconds;
}

export interface Journal {
  readonly operation: Operation | undefined;
  readonly nextId: number;
  /** Watched time since founding. */
  readonly clock: Milliseconds;
  /** When past operations began, by that clock. */
  readonly begun: readonly Milliseconds[];
  /** Those of them that replaced a server. */
  readonly replaced: readonly Milliseconds[];
  /** When the last one ended without its purpose; absent where that never happened. */
  readonly undone?: Milliseconds | undefined;
  /** Places that came back after they were removed, once each time. */
  readonly returns: readonly Place[];
}

export const emptyJournal: Journal = {
  operation: undefined,
  nextId: 1,
  clock: 0,
  begun: [],
  replaced: [],
  returns: [],
};

const minute: Milliseconds = 60_000;
/** Budget of whole operations, by watched time: one in ten minutes, and three replacements in a day. */
export const pauseBetween: Milliseconds = 10 * minute;
export const mostInADay = 3;
const day: Milliseconds = 24 * 60 * minute;

/** `mend`: a server is known to be gone, or the voters are of an even number. `grow`: one server works, more would be better. */
export type Need = 'mend' | 'grow';

/**
 * Why no operation may begin now, or undefined. What mends waits for no pause, because the cluster is worse off with
 * every minute: unless the last operation failed, so that a candidate that cannot become a server is not tried for ever.
 */
export function mayBegin(
  { begun, replaced, undone, clock }: Journal,
  kind: Operation['kind'],
  need: Need,
): string | undefined {
  const last = need === 'mend' ? undone : begun.at(-1);
  if (last !== undefined && clock - last < pauseBetween) return 'one operation in ten minutes';
  // Growing takes nothing from this budget: the board that was flashed again today is no reason to leave a dead server.
  if (kind === 'replace' && replaced.filter((at) => clock - at < day).length >= mostInADay)
    return 'three replacements a day';
  return undefined;
}

/** The journal after a change; written only if it is still the version that was read. */
export function applyChange(journal: Journal, change: JournalChange): Journal {
  const { operation, nextId, clock, begun, replaced } = journal;
  switch (change.kind) {
    case 'begin':
      return {
        ...journal,
        operation: { ...change.operation, id: nextId },
        nextId: nextId + 1,
        begun: [...begun.filter((at) => clock - at < day), clock],
        replaced: [
          ...replaced.filter((at) => clock - at < day),
          ...(change.operation.kind === 'replace' ? [clock] : []),
        ],
      };
    case 'candidates':
      if (operation === undefined) return journal;
      return {
        ...journal,
        operation: { ...operation, candidates: change.candidates, tried: change.tried, age: 0 },
      };
    case 'starting':
      if (operation?.candidates.includes(change.place) !== true) return journal;
      return { ...journal, operation: { ...operation, age: 0 } };
    case 'retreat':
      if (operation === undefined) return journal;
      return { ...journal, operation: { ...operation, candidates: [], dead: change.dead } };
    case 'end':
      return change.outcome === 'done'
        ? { ...journal, operation: undefined }
        : { ...journal, operation: undefined, undone: clock };
  }
}

/** Adds watched time; done with every look, and written when a minute has come together. */
export function watched(journal: Journal, time: Milliseconds): Journal {
  const { operation } = journal;
  return {
    ...journal,
    clock: journal.clock + time,
    operation: operation === undefined ? undefined : { ...operation, age: operation.age + time },
  };
}

/** A removed server is there again. */
export function returned(journal: Journal, place: Place): Journal {
  return { ...journal, returns: [...journal.returns, place].slice(-64) };
}
