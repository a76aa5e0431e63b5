// How failures look everywhere: one type, one exit code a kind, one rendering.

/** Exit codes of every verb. Anything that is not a `Failure` is a bug. */
export const exitCode = {
  ok: 0,
  bug: 1,
  input: 2,
  unsupported: 3,
  environment: 4,
  dependency: 5,
  io: 6,
  interrupted: 130,
} as const;

export type FailureKind = Exclude<keyof typeof exitCode, 'ok' | 'bug'>;

/** One thing that is wrong: what, where, why, and what to do about it. */
export interface Problem {
  what: string;
  /** `file:line:col`, a path, a URL or a device. */
  where?: string;
  why?: string;
  /** What the reader can do. A command is given so that it can be pasted. */
  fix?: string;
  /** Lines that show the place, such as the source line and a caret under it. */
  excerpt?: string;
}

/** A failure that is somebody's to mend: never a bug of ours. Carries all problems found, not the first. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  readonly problems: readonly Problem[];

  constructor(kind: FailureKind, problems: Problem | readonly Problem[], cause?: unknown) {
    const list: readonly Problem[] = 'what' in problems ? [problems] : problems;
    super(list.map((problem) => problem.what).join('; '), cause === undefined ? {} : { cause });
    this.kind = kind;
    this.problems = list;
  }
}

/** What the system says of media and files that is nobody's bug, in words. */
const ofTheSystem: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left to write to',
  EDQUOT: 'the quota of space is used up',
  EFBIG: 'the file would become too large for its filesystem',
  EROFS: 'the filesystem is read-only',
  EACCES: 'access is denied',
  EPERM: 'this is not permitted',
  EIO: 'the medium reports an error',
  ENOTDIR: 'a file is where a folder should be',
  EISDIR: 'a folder is where a file should be',
  ELOOP: 'links lead round in a circle',
  ENAMETOOLONG: 'a name is too long for its filesystem',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open on this machine',
};

/** An error of the system as the failure it is, of kind io; undefined for any other. `where` helps where it names no file. */
export function systemFailure(error: unknown, where?: string): Failure | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const temporary = error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'mkdtemp';
  const what = temporary ? 'the folder for temporary files is not there' : ofTheSystem[error.code];
  if (what === undefined) return undefined;
  const file = 'path' in error && typeof error.path === 'string' ? error.path : where;
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new Failure(
    'io',
    {
      what,
      ...(file === undefined ? {} : { where: file }),
      why: error.message,
      ...(full ? { fix: 'free some space there, or choose another place' } : {}),
      ...(temporary ? { fix: 'make it, or name another one: TMPDIR' } : {}),
    },
    error,
  );
}

/** The exit code a process ends with for this error. */
export function exitCodeOf(error: unknown): number {
  return error instanceof Failure ? exitCode[error.kind] : exitCode.bug;
}

/** A problem as text for a terminal. Characters that steer it, or turn the direction, are escaped: names may hold anything. */
export function renderProblem(problem: Problem): string {
  const lines = [`${problem.where === undefined ? '' : `${problem.where}: `}${problem.what}`];
  if (problem.excerpt !== undefined) lines.push(problem.excerpt);
  if (problem.why !== undefined) lines.push(`  because: ${problem.why}`);
  if (problem.fix !== undefined) lines.push(`  to do: ${problem.fix}`);
  return escapeControl(lines.join('\n'));
}

/** An error as text for a terminal; for a bug, its stack and where to take it. */
export function renderError(error: unknown): string {
  if (error instanceof Failure) return error.problems.map(renderProblem).join('\n');
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return escapeControl(`this is a bug in edgekiln: please report it with the lines below\n${stack}`);
}

/** An error as data for `--json`; `version` is that of this shape. */
export function errorAsJson(error: unknown): object {
  const kind = error instanceof Failure ? error.kind : 'bug';
  const problems =
    error instanceof Failure
      ? error.problems
      : [{ what: error instanceof Error ? error.message : String(error) }];
  return { version: 1, error: { kind, exit: exitCodeOf(error), problems } };
}

function escapeControl(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (char) => {
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
