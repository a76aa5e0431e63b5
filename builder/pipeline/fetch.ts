// Brings what a build takes from outside into the store.
import type { Lock } from '../artifacts/lock.ts';
import { fetchLocked, type LockOptions } from '../artifacts/locking.ts';
import type { LoadedProfile } from '../profile/load.ts';
import type { Reporter } from './runner.ts';

/** Fetching is told as a stage is, though its result is the store itself. */
export async function fetchAll(
  loaded: LoadedProfile,
  lock: Lock,
  options: LockOptions & { readonly reporter: Reporter },
): Promise<void> {
  const { reporter } = options;
  const began = performance.now();
  reporter.started('fetch', 'brings what the lock names into the store');
  let fetched = false;
  await fetchLocked(lock, loaded, {
    ...options,
    // A base that is made reads them all; for one that is there, none is needed.
    glance: true,
    say: (line) => reporter.say('fetch', line),
    progress: (done, total) => {
      fetched = true;
      reporter.progress('fetch', done, total);
    },
  });
  reporter.finished('fetch', { cached: !fetched, milliseconds: performance.now() - began, bytes: undefined });
}
