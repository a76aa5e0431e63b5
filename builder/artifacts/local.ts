// Files of the build machine that a profile names, with the digest it expects: a k3s binary, a root tarball.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Failure } from '../../formats/errors.ts';
import type { Sha256 } from './sha256.ts';
import type { Store } from './store.ts';

export interface LocalFile {
  /** What people call it. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly sha256: Sha256;
}

/** Takes such a file into the store, and gives its path there. What the store already has is not read again. */
export async function takeLocal(file: LocalFile, store: Store): Promise<string> {
  const { name, path, sha256 } = file;
  const there = await store.find(sha256);
  if (there !== undefined) return there;
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw new Failure(
      'input',
      {
        what: `${name} cannot be read`,
        where: path,
        why: error instanceof Error ? error.message : String(error),
        fix: `put it there, or bring it by its digest: edgekiln artifacts import PROFILE DIR`,
      },
      error,
    );
  });
  await handle.close();
  const pin = await store.put(createReadStream(path, { highWaterMark: 1 << 20 }));
  if (pin.sha256 === sha256) return store.pathOf(sha256);
  throw new Failure('input', {
    what: `${name} is not the file that the profile names`,
    where: path,
    why: `the profile says sha256 ${sha256}, the file has ${pin.sha256}`,
    fix: 'correct `sha256` in the profile if this is the file you mean',
  });
}
