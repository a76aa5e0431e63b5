// The medium takes its time: what was written is asked for in the end, one file after the other, while other work goes on.
import { closeSync, fsync, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { Failure, systemFailure } from '../../formats/errors.ts';

/** The file that is asked for last. */
let last: Promise<unknown> = Promise.resolve();

/** Ends when all of a file is on the medium; it may be renamed meanwhile. Of a folder: the names in it. */
export async function onMedium(file: string): Promise<void> {
  const descriptor = openMade(file);
  // One at a time: each holds one of the few threads that all other file work goes by.
  const own = last.then(() => promisify(fsync)(descriptor));
  last = own.catch(() => {});
  try {
    await own;
  } catch (error) {
    throw systemFailure(error, file) ?? error;
  } finally {
    closeSync(descriptor);
  }
}

function openMade(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw new Failure(
      'io',
      {
        what: 'a file that was just made is not there any more',
        where: file,
        why: error instanceof Error ? error.message : String(error),
        fix: 'build again, and leave the folder alone meanwhile',
      },
      error,
    );
  }
}
