// A profile from its file: read, checked whole, completed. Only `loadProfile` touches the disk.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Failure, type Problem } from '../../formats/errors.ts';
import { boardNames } from '../boards/boards.ts';
import type { Place } from './excerpt.ts';
import { place, valueAt } from './finding.ts';
import { explainIssues } from './issues.ts';
import type { Profile } from './profile.ts';
import { resolveProfile } from './resolve.ts';
import { makeLook } from './rules/look.ts';
import { checkRules } from './rules/rules.ts';
import { profileSchema } from './schema/profile.ts';
import { type KeyPath, readSource } from './source.ts';
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
}

/** Loads a profile. Throws a `Failure` of kind input with every problem found, or of kind io. */
export async function loadProfile(file: string): Promise<LoadedProfile> {
  return parseProfile(await readProfile(file), file);
}

/** The same from bytes already read; `file` is what problems call it, `boards` the names of the boards there are. */
export function parseProfile(
  bytes: Uint8Array,
  file: string,
  boards: readonly string[] = boardNames(),
): LoadedProfile {
  const text = decodeProfile(bytes, file);
  if (typeof text !== 'string') throw new Failure('input', text);
  const { source, problems } = readSource(text, file);
  if (source === undefined) throw new Failure('input', problems);

  const folder = dirname(resolve(file));
  const checked = profileSchema.safeParse(source.value);
  const issues = checked.error?.issues ?? [];
  const wrong = issues.map((issue) =>
    issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step)),
  );
  const findings = [
    ...explainIssues(issues, source),
    ...checkRules(makeLook(source.value, wrong, { folder, boards })),
  ];
  const all: readonly Problem[] = [...problems, ...place(findings, source)];
  if (all.length > 0) throw new Failure('input', all);
  if (checked.data === undefined) throw new Error('the schema refused the profile without an issue');

  return { profile: resolveProfile(checked.data, folder), file, folder, locate: source.locate };
}

async function readProfile(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = valueAt(error, ['code']);
    if (code === 'ENOENT') {
      throw new Failure(
        'input',
        { what: 'no such file', where: file, fix: `write one to start from: edgekiln init` },
        error,
      );
    }
    if (code === 'EISDIR') {
      throw new Failure(
        'input',
        { what: 'a folder, not a profile', where: file, fix: 'name the .yaml file in it' },
        error,
      );
    }
    const why = error instanceof Error ? error.message : String(error);
    throw new Failure('io', { what: 'cannot be read', where: file, why }, error);
  }
}
