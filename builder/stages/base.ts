// The base from Debian packages: mmdebstrap installs exactly the locked .debs, from the store alone.
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import { type Architecture, architectures } from '../artifacts/debian/apt.ts';
import { writeRepository } from '../artifacts/debian/repository.ts';
import { sha256Schema } from '../artifacts/sha256.ts';
import { Store } from '../artifacts/store.ts';
import type { Stage } from '../pipeline/stage.ts';

const schema = z.strictObject({
  suite: z.string(),
  architecture: z.enum(architectures),
  /** The whole set, dependencies included; what is not here is not in the base. */
  debs: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: sha256Schema })),
  /** Keep manuals, translations and other documentation. Copyright files are kept always. */
  documentation: z.boolean(),
  /** Seconds since 1970: no file of the base is younger. */
  sourceDateEpoch: z.int().nonnegative(),
});

export type BaseOptions = z.output<typeof schema>;

/** Makes `base.tar`, an uncompressed pax archive. The input `store` is the root of the artifact store. */
export const base: Stage<BaseOptions, { readonly store: string }> = {
  name: 'base',
  summary: 'installs the locked Debian packages into a root filesystem, as one tar file',
  version: 1,
  schema,
  async run(options, inputs, workshop) {
    await refuseForeign(options.architecture);
    const mode = process.getuid?.() === 0 ? 'root' : 'unshare';
    if (mode === 'unshare') await refuseWithoutIds();
    const scratch = await mkdtemp(join(tmpdir(), 'edgekiln-base-'));
    try {
      // Root of a user namespace is somebody else out here.
      await chmod(scratch, 0o755);
      const repository = join(scratch, 'repository');
      const work = join(scratch, 'work');
      for (const folder of [repository, work]) {
        await mkdir(folder);
        await chmod(folder, 0o755);
      }
      const names = await writeRepository(repository, options.debs, new Store(inputs.store));
      workshop.say(`mmdebstrap installs ${names.length} packages for ${options.architecture}`);
      const target = join(workshop.result, 'base.tar');
      await run('mmdebstrap', mmdebstrapArguments(options, mode, names, repository, target), {
        cancelSignal: workshop.signal,
        forceKillAfterDelay: false, // it ends by itself, and then tidies up what only it may remove
        env: { SOURCE_DATE_EPOCH: String(options.sourceDateEpoch), LC_ALL: 'C.UTF-8', TMPDIR: work },
      });
    } finally {
      // Where it could not tidy up, what belongs to other ids is left to the machine's own clearing of /tmp.
      await rm(scratch, { recursive: true, force: true, maxRetries: 3 }).catch(() => {});
    }
  },
};

/** What the maintainer scripts and mmdebstrap leave behind that is of this build, of this machine, or a secret. */
const leftovers = [
  'etc/apt/sources.list',
  'etc/hostname',
  'etc/resolv.conf',
  'etc/dpkg/dpkg.cfg.d/99mmdebstrap',
  'etc/ssh/ssh_host_*',
  'etc/*-',
  'initrd.img*',
  'vmlinuz.old',
  'var/cache/apt/*',
  'var/cache/debconf/*-old',
  'var/cache/ldconfig/aux-cache',
  'var/lib/apt/lists/*',
  'var/lib/dbus/machine-id',
  'var/lib/dpkg/*-old',
  'var/lib/systemd/random-seed',
  'var/lib/systemd/credential.secret',
  'var/log/alternatives.log',
  'var/log/apt/*',
  'var/log/bootstrap.log',
  'var/log/dpkg.log',
];

/** Documentation that a device is never asked for. dpkg applies the last rule that matches. */
const noDocumentation = [
  ...['doc', 'info', 'lintian', 'bug', 'man', 'locale', 'gtk-doc', 'doc-base'].map((name) => {
    return `--dpkgopt=path-exclude=/usr/share/${name}/*`;
  }),
  '--dpkgopt=path-include=/usr/share/doc/*/copyright',
];

function mmdebstrapArguments(
  options: BaseOptions,
  mode: 'root' | 'unshare',
  names: readonly string[],
  repository: string,
  target: string,
): string[] {
  const remove = leftovers.map((pattern) => `"$1"/${pattern}`).join(' ');
  return [
    `--mode=${mode}`,
    '--variant=essential',
    '--format=tar',
    `--architectures=${options.architecture}`,
    `--include=${names.join(',')}`,
    '--dpkgopt=force-unsafe-io', // the result is one file, written and synced by us
    ...(options.documentation ? [] : noDocumentation),
    `--customize-hook=rm -rf ${remove}`,
    // Present and empty: systemd makes one and does not take this for a first boot that presets every unit.
    '--customize-hook=rm -f "$1/etc/machine-id" && : > "$1/etc/machine-id"',
    '', // no suite: the repository is flat
    target,
    `deb [trusted=yes] copy:${repository} ./`,
  ];
}

const native: Readonly<Record<string, Architecture>> = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' };
const emulators: Readonly<Record<Architecture, string>> = {
  amd64: 'qemu-x86_64',
  arm64: 'qemu-aarch64',
  armhf: 'qemu-arm',
};

/** Maintainer scripts of another architecture run under emulation, which the kernel must have been told of. */
async function refuseForeign(architecture: Architecture): Promise<void> {
  if (native[process.arch] === architecture) return;
  const handler = `/proc/sys/fs/binfmt_misc/${emulators[architecture]}`;
  const state = await readFile(handler, 'utf8').catch(() => '');
  if (state.startsWith('enabled')) return;
  throw new Failure('environment', {
    what: `programs for ${architecture} cannot be run on this machine`,
    where: handler,
    why: 'the packages of a base run scripts while they are installed; for another architecture under qemu-user',
    fix: 'sudo apt-get install -y --no-install-recommends qemu-user-static binfmt-support',
  });
}

/** mmdebstrap needs a range of user ids to make a root filesystem without root. */
async function refuseWithoutIds(): Promise<void> {
  const { username, uid } = userInfo();
  const text = await readFile('/etc/subuid', 'utf8').catch(() => '');
  if (text.split('\n').some((line) => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`))) return;
  throw new Failure('environment', {
    what: `${username} has no range of user ids for user namespaces`,
    where: '/etc/subuid',
    why: 'without root, mmdebstrap installs packages in a user namespace',
    fix: `sudo apt-get install -y uidmap && sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
  });
}
