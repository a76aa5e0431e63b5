// edgekiln artifacts lock|fetch PROFILE
import type { Lock } from '../artifacts/lock.ts';
import { fetchLocked, lockForBuild, makeLock } from '../artifacts/locking.ts';
import { Store } from '../artifacts/store.ts';
import { loadProfile } from '../profile/load.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln artifacts lock shop.yaml', 'edgekiln artifacts fetch shop.yaml'],
  register(command, act) {
    command
      .command('lock <profile>')
      .description('write PROFILE.lock.yaml: every package and file by version and digest')
      .option('--update', 'choose everything anew, from what is current today')
      .action(
        act(async (session, file: string, given: { update?: boolean }) => {
          const loaded = await loadProfile(file);
          const store = new Store();
          const made = await makeLock(loaded, {
            ...session,
            store,
            offline: false,
            update: given.update === true,
          });
          const counts = countsOf(made.lock);
          const how = made.changes.length === 0 ? 'fits the profile as it is' : 'written';
          return {
            text: `${made.file}: ${how}: ${counts.packages} packages, ${counts.files} files, ${mebibytes(counts.bytes)}`,
            data: { version: 1, file: made.file, changes: made.changes, ...counts },
          };
        }),
      );
    command
      .command('fetch <profile>')
      .description('bring all that the lock names into the store')
      .action(
        act(async (session, file: string) => {
          const loaded = await loadProfile(file);
          const store = new Store();
          const options = { ...session, store, offline: false };
          const lock = await lockForBuild(loaded, options);
          await fetchLocked(lock, loaded, options);
          const counts = countsOf(lock);
          return {
            text: `${store.root}: holds all ${counts.packages} packages and ${counts.files} files, ${mebibytes(counts.bytes)}`,
            data: { version: 1, store: store.root, ...counts },
          };
        }),
      );
  },
};

function countsOf(lock: Lock): { packages: number; files: number; bytes: number } {
  const debs = lock.debian.flatMap((set) => [...set.install, ...set.extract]);
  const bytes = [...debs, ...lock.files].reduce((sum, pin) => sum + pin.size, 0);
  return { packages: debs.length, files: lock.files.length, bytes };
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
