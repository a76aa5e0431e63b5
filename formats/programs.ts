// The one module that knows the external programs: their names, packages, lowest versions, and how to run one.
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
  }, // -netdev dgram
  'qemu-img': { package: 'qemu-utils', purpose: 'the lab', versionArguments: ['--version'] },
  systemctl: { package: 'systemd', purpose: 'units on the device' },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof programs;

export function programOf(name: ProgramName): Program {
  return programs[name];
}

/**
 * Runs one program to its end. A program that is missing is an environment failure that names the package; one that
 * fails is an environment failure that shows the command so that it can be pasted, and the end of what it said.
 * Secrets are given by `input` or files, never as arguments.
 */
export async function run(
  name: ProgramName,
  args: readonly string[],
  options: Options & { encoding?: 'utf8' } = {},
): Promise<{ stdout: string; stderr: string }> {
  const result = await execa(name, args, { ...options, reject: false });
  if (result.failed) {
    if (result.code === 'ENOENT') throw missing([name]);
    if (result.isCanceled) throw new Failure('interrupted', { what: `${name} was stopped` }, result);
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

/** The failure for programs that are not there, with one line that installs all of them. */
export function missing(names: readonly ProgramName[]): Failure {
  const packages = [...new Set(names.map((name) => programs[name].package))].sort().join(' ');
  return new Failure('environment', {
    what: `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} not installed`,
    why: names.map((name) => `${name}: ${programs[name].purpose}`).join('; '),
    fix: `sudo apt-get install -y --no-install-recommends ${packages}`,
  });
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-12).join('\n  ');
}
