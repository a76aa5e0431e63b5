// One file out of a tar.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Failure } from '../../formats/errors.ts';
import { indexTar } from './tar.ts';

/** Copies the first plain file whose path matches to `target`, which must not exist; it may be executed there. */
export async function copyMember(tar: string, path: RegExp, target: string): Promise<void> {
  for (const entry of indexTar(tar)) {
    if (entry.kind !== 'file' || !path.test(entry.path)) continue;
    const bytes = entry.segments[0]?.bytes;
    if (entry.segments.length !== 1 || bytes?.at !== 'file') break; // sparse: nothing that we look for is
    const { file, offset, length } = bytes;
    const end = offset + length - 1;
    await pipeline(
      createReadStream(file, { start: offset, end }),
      createWriteStream(target, { flags: 'wx', mode: 0o755 }),
    );
    return;
  }
  throw new Failure('input', {
    what: 'an archive does not hold what it should',
    where: tar,
    why: `no ${path.source}`,
  });
}
