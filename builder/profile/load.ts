// A profile from its file: read, checked whole, completed. Only `loadProfile` touches the disk.
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Failure, type Problem } from '../../formats/errors.ts';
import { boardNames } from '../boards/boards.ts';
import type { Place } from './excerpt.ts';
import { type Finding, place, printPath, valueAt } from './finding.ts';
import { explainIssues } from './issues.ts';
import type { Profile } from './profile.ts';
import { resolveProfile } from './resolve.ts';
import { type NamedPath, namedPaths } from './rules/contents.ts';
import { makeLook } from './rules/look.ts';
import { checkRules } from './rules/rules.ts';
import { findUnbuilt } from './rules/unbuilt.ts';
import { profileSchema, type Written } from './schema/profile.ts';
import { type KeyPath, readSource, type Source } from './source.ts';
import { decodeProfile } from './text.ts';

export interface LoadedProfile {
  readonly profile: Profile;
  /** The file as it was named, and the absolute folder that paths in it are relative to. */
  readonly file: string;
  readonly folder: string;
  /**
   * Where a key is written, or the deepest key on the way to it: for a problem that is found later, as in
   * `new Failure('input', { what, ...loaded.locate(['slots', 'size']) })`.
   */
  locate(path: KeyPath): Place;
  /** What is written and no part of the build acts on yet: a build refuses it as unsupported. */
  readonly unbuilt: readonly Problem[];
}

/**
 * Loads a profile; the files it names must be there. Throws a `Failure` of kind input with every problem found, or of
 * kind io where the profile cannot be read.
 */
export async function loadProfile(file: string): Promise<LoadedProfile> {
  const examined = examine(await readProfile(file), file, boardNames());
  return conclude(examined, await missingFiles(examined.paths));
}

/** The same from bytes already read, without a look at the files it names. `file` is what problems call it. */
export function parseProfile(
  bytes: Uint8Array,
  file: string,
  boards: readonly string[] = boardNames(),
): LoadedProfile {
  return conclude(examine(bytes, file, boards), []);
}

/** A profile with all that was found about it. */
interface Examined {
  readonly file: string;
  readonly folder: string;
  readonly source: Source;
  /** Problems that have their place already. */
  readonly problems: readonly Problem[];
  readonly findings: readonly Finding[];
  readonly paths: readonly NamedPath[];
  readonly unbuilt: readonly Finding[];
  /** There where the schema had nothing against it. */
  readonly written: Written | undefined;
}

function examine(bytes: Uint8Array, file: string, boards: readonly string[]): Examined {
  const text = decodeProfile(bytes, file);
  if (typeof text !== 'string') throw new Failure('input', text);
  const { source, problems } = readSource(text, file);
  if (source === undefined) throw new Failure('input', problems);

  const folder = dirname(resolve(file));
  const checked = profileSchema.safeParse(source.value);
  const issues = checked.error?.issues ?? [];
  const wrong = issues.map((issue) => issue.path.filter((step) => typeof step !== 'symbol'));
  const look = makeLook(source.value, wrong, { folder, boards });
  const findings = [...explainIssues(issues, source), ...checkRules(look)];
  const [paths, unbuilt] = [namedPaths(look), findUnbuilt(look)];
  return { file, folder, source, problems, findings, paths, unbuilt, written: checked.data };
}

function conclude(examined: Examined, further: readonly Finding[]): LoadedProfile {
  const { file, folder, source, written } = examined;
  const problems = [...examined.problems, ...place([...examined.findings, ...further], source)];
  if (problems.length > 0) throw new Failure('input', problems);
  if (written === undefined) throw new Error('the schema refused the profile without an issue');
  const profile = resolveProfile(written, folder);
  return { profile, file, folder, locate: source.locate, unbuilt: place(examined.unbuilt, source) };
}

/** Files that a profile names and that are not there. */
async function missingFiles(paths: readonly NamedPath[]): Promise<Finding[]> {
  const found = await Promise.all(
    paths.map(async ({ at, path, folder }): Promise<Finding[]> => {
      const stats = await stat(path).catch(() => undefined);
      const name = printPath(at);
      if (stats === undefined) return [{ at, what: `${name}: there is no ${path}` }];
      if (!stats.isFile() && !stats.isDirectory())
        return [{ at, what: `${name}: ${path} is a pipe or a device, not a file` }];
      if (stats.isDirectory() && !folder) return [{ at, what: `${name}: ${path} is a folder, not a file` }];
      return [];
    }),
  );
  return found.flat();
}

async function readProfile(file: string): Promise<Uint8Array> {
  try {
    const stats = await stat(file);
    // A pipe would be waited for without end, and some devices read so.
    if (!stats.isFile() && !stats.isDirectory())
      throw new Failure('input', {
        what: 'a pipe or a device, not a profile',
        where: file,
        fix: 'name a file',
      });
    return await readFile(file);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = valueAt(error, ['code']);
    if (code === 'ENOENT') {
      const fix = 'write one to start from: edgekiln init';
      throw new Failure('input', { what: 'no such file', where: file, fix }, error);
    }
    if (code === 'EISDIR') {
      const fix = 'name the .yaml file in it';
      throw new Failure('input', { what: 'a folder, not a profile', where: file, fix }, error);
    }
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'see that it is a file that you may read';
    throw new Failure('io', { what: 'cannot be read', where: file, why, fix }, error);
  }
}
