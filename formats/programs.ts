// The one module that knows the external programs: their names, packages, lowest versions, and how to run one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import { execa, type Options } from 'execa';
import { Failure } from './errors.ts';

/** A program this project calls. Nothing outside of this table is ever run. */
interface Program {
  /** Debian package that brings it. */
  readonly package: string;
  /** What it is needed for, as `doctor` says it. */
  readonly purpose: string;
  readonly versionArguments?: readonly string[];
  /** Lowest version that works, with the reason in a comment beside it. */
  readonly lowest?: string;
  /** Needed by every build, or only for what `purpose` names. */
  readonly always?: boolean;
  /** Few people need it: `doctor --install` leaves it to them. */
  readonly rare?: boolean;
}

export const programs = {
  mmdebstrap: {
    package: 'mmdebstrap',
    purpose: 'bases made from Debian packages',
    versionArguments: ['--version'],
    lowest: '1.3',
  },
  gpgv: { package: 'gpgv', purpose: 'signatures of Debian releases', versionArguments: ['--version'] },
  xz: {
    package: 'xz-utils',
    purpose: 'reading .deb files and .xz tarballs',
    versionArguments: ['--version'],
    always: true,
  },
  zstd: {
    package: 'zstd',
    purpose: 'reading and writing .zst',
    versionArguments: ['--version'],
    always: true,
  },
  'qemu-system-x86_64': {
    package: 'qemu-system-x86',
    purpose: 'the lab',
    versionArguments: ['--version'],
    lowest: '7.2',
  }, // -netdev stream
  'qemu-system-aarch64': {
    package: 'qemu-system-arm',
    purpose: 'the lab, with arm64 machines',
    versionArguments: ['--version'],
    lowest: '7.2',
    rare: true,
  },
  'qemu-img': { package: 'qemu-utils', purpose: 'the lab', versionArguments: ['--version'] },
  setpriv: {
    package: 'util-linux',
    purpose: 'the lab: machines that end with it',
    versionArguments: ['--version'],
  },
  unshare: { package: 'util-linux', purpose: 'the lab in namespaces', versionArguments: ['--version'] },
  nsenter: { package: 'util-linux', purpose: 'the lab in namespaces', versionArguments: ['--version'] },
  ionice: { package: 'util-linux', purpose: 'filling the second slot on the device, at idle priority' },
  date: { package: 'coreutils', purpose: 'the clock of the device' },
  ip: {
    package: 'iproute2',
    purpose: 'site0 on the device, and the lab in namespaces',
    versionArguments: ['-Version'],
    rare: true,
  },
  umount: { package: 'mount', purpose: 'what containers leave behind on the device' },
  busybox: {
    package: 'busybox-static',
    purpose: 'ARP on the device, leases in the lab in namespaces',
    rare: true,
  },
  'apt-get': {
    package: 'apt',
    purpose: 'choosing Debian packages',
    versionArguments: ['--version'],
    lowest: '2.0', // deb822 sources in a private folder
  },
  'apt-helper': { package: 'apt', purpose: 'fetching Debian packages' },
  systemctl: { package: 'systemd', purpose: 'units on the device' },
  journalctl: { package: 'systemd', purpose: 'logs on the device' },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

/** Files of other packages that are read: any one of the paths will do. */
export const foreignFiles = {
  'keys of Debian': {
    package: 'debian-archive-keyring',
    purpose: 'signatures of Debian releases',
    paths: ['/usr/share/keyrings/debian-archive-keyring.gpg'],
  },
  'UEFI firmware': {
    package: 'ovmf',
    purpose: 'the lab',
    paths: [
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      '/usr/share/OVMF/OVMF_CODE.fd',
      '/usr/share/edk2/ovmf/OVMF_CODE.fd',
      '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
    ],
  },
} as const;

export function programOf(name: ProgramName): Program {
  return programs[name];
}

type RunOptions = Options & { encoding?: 'utf8' };

/**
 * Runs one program to its end. A program that is missing is an environment failure that names the package; one that
 * fails is an environment failure that shows the command so that it can be pasted, and the end of what it said.
 * Secrets are given by `input` or files, never as arguments.
 */
export async function run(
  name: ProgramName,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  return execute(name, args, options, () => missing([name]));
}

/** The same for a program that is not this machine's: one that the store brought. `file` is its path. */
export async function runFile(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  return execute(file, args, options, () => new Failure('io', { what: 'a program is gone', where: file }));
}

async function execute(
  file: string,
  args: readonly string[],
  { cancelSignal, ...rest }: RunOptions,
  absent: () => Failure,
): Promise<{ stdout: string; stderr: string }> {
  const name = basename(file);
  // A group of its own: what the program started stops with it.
  const child = execa(file, args, { ...rest, reject: false, detached: true });
  const cancel = (): void => killGroup(child.pid);
  if (cancelSignal?.aborted) cancel();
  cancelSignal?.addEventListener('abort', cancel, { once: true });
  const result = await child.finally(() => cancelSignal?.removeEventListener('abort', cancel));
  if (cancelSignal?.aborted) throw new Failure('interrupted', { what: `${name} was stopped` }, result);
  if (result.failed) {
    if (result.code === 'ENOENT') throw absent();
    throw new Failure(
      'environment',
      {
        what: `${name} ended with ${result.signal ?? result.exitCode ?? result.code}`,
        why: tail(String(result.stderr ?? '')) || 'it said nothing',
        fix: `run it by hand to see more: ${result.escapedCommand}`,
      },
      result,
    );
  }
  return { stdout: String(result.stdout ?? ''), stderr: String(result.stderr ?? '') };
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
    stdio: ['ignore', options.onStdout === undefined ? 'ignore' : 'pipe', 'pipe'],
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
