// edgekiln artifacts lock|fetch|list|import|gc
import { InvalidArgumentError } from 'commander';
import { Failure } from '../../formats/errors.ts';
import { type Collected, collectGarbage } from '../artifacts/gc.ts';
import { importFolder, type Named } from '../artifacts/import.ts';
import { type Lock, lockFileOf, readLock } from '../artifacts/lock.ts';
import { fetchLocked, lockForBuild, makeLock, namedBy } from '../artifacts/locking.ts';
import { Store } from '../artifacts/store.ts';
import { planBoards } from '../pipeline/plan.ts';
import { mebibytes } from '../pipeline/reporters.ts';
import { resultsFolder } from '../pipeline/results.ts';
import { collectUnused } from '../pipeline/unused.ts';
import { type LoadedProfile, loadProfile } from '../profile/load.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: [
    'edgekiln artifacts lock shop.yaml',
    'edgekiln artifacts fetch shop.yaml',
    'edgekiln artifacts import shop.yaml /media/stick',
  ],
  register(command, act) {
    command
      .command('lock <profile>')
      .description('write PROFILE.lock.yaml: every package and file by version and digest')
      .option('--update', 'choose everything anew, from what is current today')
      .action(
        act(async (session, file: string, given: { update?: boolean }) => {
          const loaded = await loadWhole(file);
          const options = { ...session, store: new Store(), offline: false, update: given.update === true };
          const made = await makeLock(loaded, options);
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
          const loaded = await loadWhole(file);
          const options = { ...session, store: new Store(), offline: false };
          const lock = await lockForBuild(loaded, options);
          await fetchLocked(lock, loaded, options);
          const counts = countsOf(lock);
          return {
            text: `${options.store.root}: holds all ${counts.packages} packages and ${counts.files} files, ${mebibytes(counts.bytes)}`,
            data: { version: 1, store: options.store.root, ...counts },
          };
        }),
      );
    command
      .command('list <profile>')
      .description('show what the lock names and whether the store has it')
      .action(
        act(async (_session, file: string) => {
          const named = await locked(file);
          const store = new Store();
          const items = [];
          for (const { name, sha256, size } of named) {
            items.push({ name, sha256, size, present: (await store.find(sha256)) !== undefined });
          }
          const lines = items.map(({ name, sha256, present }) => {
            return `${present ? 'there  ' : 'missing'}  ${sha256.slice(0, 12)}  ${name}`;
          });
          return { text: lines.join('\n'), data: { version: 1, store: store.root, items } };
        }),
      );
    command
      .command('import <profile> <folder>')
      .description(
        'take from a folder or stick what the lock names, by digest, whatever the files are called',
      )
      .action(
        act(async (session, file: string, folder: string) => {
          const named = await locked(file);
          const { taken, missing } = await importFolder(folder, named, new Store(), session);
          const rest = missing.map(({ name }) => name);
          return {
            text: `${taken.length} taken, ${rest.length} still missing${rest.length === 0 ? '' : `: ${shortList(rest)}`}`,
            data: { version: 1, taken: taken.map(({ name }) => name), missing: rest },
          };
        }),
      );
    command
      .command('gc <profile...>')
      .description(
        'remove what the locks of these profiles do not name, and what builds made and have not used for long',
      )
      .option('--dry-run', 'only say how much it would be')
      .option('--unused <days>', 'for how many days no build has used a result of a stage', days, 30)
      .action(
        act(async (_session, files: string[], given: { dryRun?: boolean; unused: number }) => {
          const keep = new Set<Named['sha256']>();
          for (const file of files) for (const { sha256 } of await locked(file)) keep.add(sha256);
          const dry = given.dryRun === true;
          const store = new Store();
          const gone = await collectGarbage(store, keep, { dry });
          const before = Date.now() - given.unused * 24 * 60 * 60 * 1000;
          const unused = await collectUnused(resultsFolder(store), { before, dry });
          const text = (what: string, { files, bytes }: Collected) =>
            `${what}: ${files} files, ${mebibytes(bytes)} ${dry ? 'would be removed' : 'removed'}`;
          return {
            text: `${text('artifacts', gone)}\n${text('results of stages', unused)}`,
            data: { version: 1, dryRun: dry, ...gone, results: unused },
          };
        }),
      );
  },
};

/** A profile whose boards are known and whose sizes fit: nothing is pinned for what cannot be built. */
async function loadWhole(file: string): Promise<LoadedProfile> {
  const loaded = await loadProfile(file);
  planBoards(loaded);
  return loaded;
}

/** What the lock of a profile names; there must be one. */
async function locked(file: string): Promise<Named[]> {
  const loaded = await loadProfile(file);
  const lock = await readLock(lockFileOf(file));
  if (lock !== undefined) return namedBy(lock, loaded);
  throw new Failure('input', {
    what: 'there is no lock file',
    where: lockFileOf(file),
    fix: `edgekiln artifacts lock ${file}`,
  });
}

function countsOf(lock: Lock): { packages: number; files: number; bytes: number } {
  const debs = lock.debian.flatMap((set) => [...set.install, ...set.extract]);
  const bytes = [...debs, ...lock.files].reduce((sum, pin) => sum + pin.size, 0);
  return { packages: debs.length, files: lock.files.length, bytes };
}

function shortList(names: readonly string[]): string {
  const more = names.length - 5;
  return `${names.slice(0, 5).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}

function days(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of days.');
  return Number(text);
}
