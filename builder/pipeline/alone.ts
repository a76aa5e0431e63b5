// One build at a time in an output folder: files of two of them would mix.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, systemFailure } from '../../formats/errors.ts';
import { start } from '../../formats/programs.ts';

/** In the output folder: the process that builds into it, or did last. */
const holderFile = '.edgekiln-lock';

/**
 * Does some work as the only build in a folder; where another one is at work there, it is refused. The lock is the
 * kernel's, on an open file: it ends with the process that holds it, however that ends. `say` is told of a filesystem
 * that has no locks; work goes on there.
 */
export async function aloneIn<Result>(
  folder: string,
  say: (line: string) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const path = join(folder, holderFile);
  const file = await open(path, 'a+').catch((error: unknown) => {
    throw systemFailure(error, path) ?? error;
  });
  try {
    // Node has no such call. A lock that a child takes on a descriptor of ours stays when the child is gone.
    const { code, said } = await start('flock', ['-n', '0'], { stdin: file.fd }).ended;
    if (code === 1) throw busy(folder, await file.readFile('utf8'));
    if (code !== 0) say(`${folder}: never build into it twice at once: ${said}`);
    await file.truncate();
    await file.write(`${process.pid}\n`);
    return await work();
  } finally {
    await file.close();
  }
}

function busy(folder: string, holder: string): Failure {
  const pid = holder.trim();
  return new Failure('io', {
    what: 'another build is at work in this output folder',
    where: folder,
    why: `${pid === '' ? 'a process' : `process ${pid}`} builds into it, and files of two builds would mix`,
    fix: 'wait until it has ended, or give another folder with --output',
  });
}
