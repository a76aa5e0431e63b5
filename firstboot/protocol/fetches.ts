// What is fetched from peers: one thing at a time, and not from one peer alone if it has nothing to give.
import type { Place } from '../../formats/roster.ts';
import { fetchLasts } from './timings.ts';
import type { Turn } from './turn.ts';

/** Whether to ask this peer now; it is, then. One that gave no answer, or one of no use, lets others come first. */
export function mayFetch({ state, now }: Turn, from: Place): boolean {
  const { fetching } = state;
  if (fetching !== undefined && now < fetching.until + (fetching.from === from ? fetchLasts : 0))
    return false;
  state.fetching = { from, until: now + fetchLasts };
  return true;
}

/** An answer came; `useful` where it was taken. */
export function onFetched({ state, now }: Turn, useful: boolean): void {
  const { fetching } = state;
  if (fetching !== undefined) state.fetching = useful ? undefined : { ...fetching, until: now };
}
