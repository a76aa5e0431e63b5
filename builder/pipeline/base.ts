// The base of a build: from locked packages, or from a root filesystem that was made elsewhere.
import { Failure } from '../../formats/errors.ts';
import type { DebianSet } from '../artifacts/lock.ts';
import { digestOf, type Store } from '../artifacts/store.ts';
import type { LoadedProfile } from '../profile/load.ts';
import { base } from '../stages/base.ts';
import { tarball } from '../stages/tarball.ts';
import type { BoardPlan } from './plan.ts';
import type { Input, Runner } from './runner.ts';

export interface BaseWork {
  readonly plan: BoardPlan;
  readonly set: DebianSet;
  readonly loaded: LoadedProfile;
  readonly runner: Runner;
  readonly store: Store;
  readonly epoch: number;
}

/** The folder of the base's stage. */
export async function makeBase({ plan, set, loaded, runner, store, epoch }: BaseWork): Promise<Input> {
  const { base: source } = loaded.profile;
  if (source.kind === 'tarball') {
    const { sha256 } = await digestOf(source.path);
    if (sha256 !== source.sha256) {
      throw new Failure('input', {
        what: `${source.path} is not the file that was meant: its sha256 is ${sha256}`,
        ...loaded.locate(['base', 'tarball', 'sha256']),
        fix: 'bring the right file, or write its digest',
      });
    }
    // More than twice a slot, headers included, would never fit it.
    const limit = 2 * plan.layout.slotA.size;
    return runner.run(tarball, { sha256, limit }, { tarball: { path: source.path, digest: sha256 } });
  }
  return runner.run(
    base,
    {
      suite: set.suite,
      architecture: set.architecture,
      debs: set.install.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
      documentation: false,
      sourceDateEpoch: epoch,
    },
    { store: { path: store.root, digest: '' } },
  );
}
