// apt in a folder of its own: it reads nothing of the build machine's apt and needs no root.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attempt } from '../../../formats/programs.ts';

/** Debian's name of an architecture that images are made for. */
export const architectures = ['amd64', 'arm64', 'armhf'] as const;
export type Architecture = (typeof architectures)[number];

/** What a run of an apt program said. */
export interface Said {
  readonly ok: boolean;
  readonly stdout: string;
  /** The lines that begin with `E:`, and what is indented under them. */
  readonly errors: readonly string[];
}

export interface AptOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A private apt. `sources` are in deb822 format; nothing else is known to it. */
export class Apt {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Runs `use` with a fresh apt for an architecture; its folder is gone afterwards. */
  static async with<T>(
    architecture: Architecture,
    sources: (folder: string) => string,
    use: (apt: Apt) => Promise<T>,
  ): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), 'edgekiln-apt-'));
    try {
      for (const name of ['lists/partial', 'cache/archives/partial', 'sources']) {
        await mkdir(join(folder, name), { recursive: true });
      }
      await writeFile(join(folder, 'status'), '');
      await writeFile(join(folder, 'sources', 'edgekiln.sources'), sources(folder));
      await writeFile(join(folder, 'apt.conf'), configuration(folder, architecture));
      return await use(new Apt(folder));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Runs `apt-get`; `apt-helper`, which downloads files by address and digest, is not on the usual path. */
  async run(
    program: 'apt-get' | 'apt-helper',
    args: readonly string[],
    options: AptOptions = {},
  ): Promise<Said> {
    const { ok, stdout, stderr } = await attempt(program, args, {
      stdin: 'ignore',
      env: {
        APT_CONFIG: join(this.folder, 'apt.conf'),
        PATH: `${process.env['PATH'] ?? ''}:/usr/lib/apt`,
      },
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    });
    return { ok, stdout, errors: errorLines(stderr) };
  }
}

/** The configuration, as apt.conf(5). Every path is ours: nothing of /etc/apt is read. */
function configuration(folder: string, architecture: Architecture): string {
  const nowhere = '/dev/null';
  const settings: [string, string][] = [
    ['Dir', folder],
    ['Dir::Etc::main', nowhere],
    ['Dir::Etc::parts', nowhere],
    ['Dir::Etc::sourcelist', nowhere],
    ['Dir::Etc::sourceparts', join(folder, 'sources')],
    ['Dir::Etc::preferences', nowhere],
    ['Dir::Etc::preferencesparts', nowhere],
    ['Dir::Etc::trusted', nowhere],
    ['Dir::Etc::trustedparts', nowhere],
    ['Dir::State', folder],
    ['Dir::State::status', join(folder, 'status')],
    ['Dir::State::lists', join(folder, 'lists')],
    ['Dir::Cache', join(folder, 'cache')],
    ['APT::Architecture', architecture],
    ['APT::Architectures::', architecture],
    ['APT::Install-Recommends', 'false'],
    ['APT::Sandbox::User', 'root'], // _apt may not write to our folder
    ['pkgCacheGen::ForceEssential', ','], // apt itself is not essential on a device
    ['Acquire::ForceHash', 'SHA256'], // which digest is printed
    ['Acquire::Languages', 'none'],
    ['Acquire::Retries', '3'],
    ['Acquire::http::Timeout', '30'],
    ['Acquire::https::Timeout', '30'],
    ['Acquire::AllowInsecureRepositories', 'false'],
  ];
  return settings.map(([name, value]) => `${name} "${value}";\n`).join('');
}

function errorLines(stderr: string): string[] {
  const lines = stderr.split('\n').filter((line) => /^(E: |\s+\S)/.test(line));
  return lines.map((line) => line.replace(/^E: /, '').trimEnd());
}
