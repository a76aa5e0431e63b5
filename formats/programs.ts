// How external programs are run, and what is said of one that is missing, old or fails. Which there are: catalogue.ts.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { execa, type Options } from 'execa';
import { type Program, type ProgramName, programs } from './catalogue.ts';
import { Failure } from './errors.ts';

export { foreignFiles, type ProgramName, programs } from './catalogue.ts';

export function programOf(name: ProgramName): Program {
  return programs[name];
}

type RunOptions = Options & { encoding?: 'utf8' };

/**
 * Runs one program to its end. A program that is missing or older than what works is an environment failure that names
 * the package; one that fails is an environment failure that shows the command so that it can be pasted, and the end of
 * what it said (an io failure where it says that there is no space left). Secrets are given by `input` or files, never
 * as arguments.
 */
export async function run(
  name: ProgramName,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  await refuseOld(name, args, options);
  return succeeded(await execute(name, args, options, () => missing([name])));
}

/** The same for one that may fail: `ok` says whether it did. */
export async function attempt(
  name: ProgramName,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ ok: boolean; stdout: string; stderr: string }> {
  await refuseOld(name, args, options);
  const { failure, stdout, stderr } = await execute(name, args, options, () => missing([name]));
  return { ok: failure === undefined, stdout, stderr };
}

/** The same for a program that is not this machine's: one that the store brought. `file` is its path. */
export async function runFile(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  const gone = () => new Failure('io', { what: 'a program is gone', where: file });
  return succeeded(await execute(file, args, options, gone));
}

/** What a program's version is known to be good for: asked for once in each process. */
const asked = new Map<ProgramName, Promise<void>>();

function refuseOld(
  name: ProgramName,
  args: readonly string[],
  { env, cancelSignal }: RunOptions,
): Promise<void> {
  const { lowest, versionArguments, package: from } = programOf(name);
  if (lowest === undefined || versionArguments === undefined || args === versionArguments)
    return Promise.resolve();
  const ask = async (): Promise<void> => {
    const options = { ...(env && { env }), ...(cancelSignal && { cancelSignal }) };
    const { stdout, stderr } = await execute(name, versionArguments, options, () => missing([name]));
    const version = versionIn(`${stdout}\n${stderr}`);
    if (version !== undefined && !olderThan(version, lowest)) return;
    throw new Failure('environment', {
      what: `${name} is too old`,
      why: `it is ${version ?? 'of unknown version'}, and ${lowest} is the lowest that works`,
      fix: `install a newer ${from}: ${installLine([from])}`,
    });
  };
  const answer = asked.get(name) ?? ask();
  asked.set(name, answer);
  return answer.catch((error: unknown) => {
    asked.delete(name);
    throw error;
  });
}

/** The first thing in a text that looks like a version. */
export function versionIn(text: string): string | undefined {
  return /\d+(\.\d+)+/.exec(text)?.[0];
}

export function olderThan(version: string, lowest: string): boolean {
  const [have, want] = [version, lowest].map((text) => text.split('.').map(Number));
  for (const [index, part] of (want ?? []).entries()) {
    const own = have?.[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

interface Done {
  readonly stdout: string;
  readonly stderr: string;
  /** Left out where it ended well. */
  readonly failure?: Failure;
}

function succeeded({ failure, stdout, stderr }: Done): { stdout: string; stderr: string } {
  if (failure !== undefined) throw failure;
  return { stdout, stderr };
}

async function execute(
  file: string,
  args: readonly string[],
  { cancelSignal, ...rest }: RunOptions,
  absent: () => Failure,
): Promise<Done> {
  const name = basename(file);
  // A group of its own: what the program started stops with it.
  const env = { LC_ALL: 'C.UTF-8', ...rest.env }; // what it says is read here, and quoted
  const child = execa(file, args, { ...rest, env, reject: false, detached: true });
  const cancel = (): void => killGroup(child.pid);
  if (cancelSignal?.aborted) cancel();
  cancelSignal?.addEventListener('abort', cancel, { once: true });
  const result = await child.finally(() => cancelSignal?.removeEventListener('abort', cancel));
  if (cancelSignal?.aborted) throw new Failure('interrupted', { what: `${name} was stopped` }, result);
  const said = { stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? '') };
  if (!result.failed) return said;
  if (result.code === 'ENOENT') throw absent();
  const ended = `${name} ended with ${result.signal ?? result.exitCode ?? result.code}`;
  const why = tail(said.stderr) || 'it said nothing';
  const full = result.code === 'ENOSPC' || /no space left on device/i.test(said.stderr);
  const fix = `run it by hand to see more: ${result.escapedCommand}`;
  const problem = full
    ? { what: 'there is no space left to write to', why: `${ended}: ${why}`, fix: 'free some space' }
    : { what: ended, why, fix };
  return { ...said, failure: new Failure(full ? 'io' : 'environment', problem, result) };
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGTERM');
  } catch {
    // It ended by itself meanwhile.
  }
}

/** How a program ended that `start` started. */
export interface Ending {
  readonly code: number | undefined;
  readonly signal: string | undefined;
  /** The end of what it said on stderr. */
  readonly said: string;
}

/** A program that runs beside us. */
export interface Running {
  readonly pid: number;
  /** Settles when it has ended, however it did; never rejects. */
  readonly ended: Promise<Ending>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

export interface StartOptions {
  readonly cwd?: string;
  /** The whole environment; that of this process if not given. */
  readonly env?: Readonly<Record<string, string>>;
  /** An open file of ours that it has as its standard input. */
  readonly stdin?: number;
  readonly onStdout?: (bytes: Buffer) => void;
  readonly onStderr?: (text: string) => void;
}

/**
 * Starts one program that runs until it is told to end. It never outlives this process: the kernel kills it when we
 * die, even by SIGKILL. One that is missing is an environment failure that names the package.
 */
export function start(name: ProgramName, args: readonly string[], options: StartOptions = {}): Running {
  return startFile(pathOf(name), args, options);
}

/** The same for a program that is not this machine's own. `file` is its path. */
export function startFile(file: string, args: readonly string[], options: StartOptions = {}): Running {
  const child = spawn(pathOf('setpriv'), ['--pdeathsig', 'KILL', file, ...args], {
    cwd: options.cwd,
    ...(options.env && { env: options.env }),
    stdio: [options.stdin ?? 'ignore', options.onStdout === undefined ? 'ignore' : 'pipe', 'pipe'],
  });
  let said = '';
  if (options.onStdout !== undefined) child.stdout?.on('data', options.onStdout);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-8192);
    options.onStderr?.(text);
  });
  const ended = new Promise<Ending>((resolve) => {
    child.on('error', (error) => resolve({ code: undefined, signal: undefined, said: error.message }));
    child.on('close', (code, signal) => {
      resolve({ code: code ?? undefined, signal: signal ?? undefined, said: tail(said) });
    });
  });
  if (child.pid === undefined) {
    throw new Failure('environment', {
      what: `${basename(file)} cannot be started`,
      fix: 'look for a limit on processes',
    });
  }
  return { pid: child.pid, ended, kill: (signal) => void child.kill(signal) };
}

function pathOf(name: ProgramName): string {
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((each) => existsSync(each));
  if (path === undefined) throw missing([name]);
  return path;
}

/** One line that installs packages, for people who are not root yet. */
export function installLine(packages: readonly string[]): string {
  return `sudo apt-get install -y --no-install-recommends ${[...new Set(packages)].sort().join(' ')}`;
}

/** The failure for programs that are not there, with one line that installs all of them. */
export function missing(names: readonly ProgramName[]): Failure {
  return new Failure('environment', {
    what: `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} not installed`,
    why: names.map((name) => `${name}: ${programs[name].purpose}`).join('; '),
    fix: installLine(names.map((name) => programs[name].package)),
  });
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-12).join('\n  ');
}
