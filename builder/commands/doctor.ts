// edgekiln doctor: whether this machine has what builds need.

import { existsSync } from 'node:fs';
import { access, constants, readFile, statfs } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import { exitCode, Failure } from '../../formats/errors.ts';
import {
  foreignFiles,
  installLine,
  missing,
  olderThan,
  type ProgramName,
  programOf,
  programs,
  run,
  versionIn,
} from '../../formats/programs.ts';
import { storeFolder } from '../artifacts/store.ts';
import type { Session, Verb } from './frame.ts';

interface Check {
  readonly name: string;
  /** `bad` stops every build, `lacking` only some; both say why in `detail`. */
  readonly state: 'ok' | 'lacking' | 'bad';
  readonly detail: string;
  readonly purpose: string;
  /** The package to install. */
  readonly install?: string;
}

const lowestNode = '20.11';
/** A build of one board keeps a base, a tree and an image beside each other. Bytes. */
const roomForABuild = 6 * 1024 ** 3;

interface DoctorOptions {
  readonly output: string;
  readonly install?: boolean;
}

export const verb: Verb = {
  examples: ['edgekiln doctor', 'edgekiln doctor --install', 'edgekiln doctor --json'],
  register(command, act) {
    command
      .option('-o, --output <folder>', 'where builds will put their results', 'output')
      .option('--install', 'install the Debian packages that are missing, as root')
      .action(
        act(async (session, options: DoctorOptions) => {
          let checks = await examine(session.signal, options.output);
          if (options.install === true && packagesOf(checks).length > 0) {
            await install(packagesOf(checks), session);
            checks = await examine(session.signal, options.output);
          }
          const packages = packagesOf(checks);
          const line = packages.length === 0 ? undefined : installLine(packages);
          const ok = checks.every((check) => check.state !== 'bad');
          const data = { version: 1, ok, checks, ...(line === undefined ? {} : { install: line }) };
          return { text: render(checks, line), data, exit: ok ? exitCode.ok : exitCode.environment };
        }),
      );
  },
};

async function examine(signal: AbortSignal, output: string): Promise<Check[]> {
  return [
    checkNode(process.versions.node),
    ...(await Promise.all(toolNames().map((name) => checkProgram(name, signal)))),
    ...Object.entries(foreignFiles).map(([name, file]) => checkFile(name, file)),
    await checkRoom('store', storeFolder()),
    await checkRoom('output', output),
    await checkNamespaces(),
  ];
}

function packagesOf(checks: readonly Check[]): string[] {
  return checks.flatMap((check) => check.install ?? []);
}

async function install(packages: readonly string[], { signal, say }: Session): Promise<void> {
  if (userInfo().uid !== 0) {
    throw new Failure('environment', {
      what: `packages are missing: ${packages.join(' ')}`,
      why: 'only root installs packages',
      fix: installLine(packages),
    });
  }
  say(`installing ${packages.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { cancelSignal: signal, env });
  const wanted = [...new Set(packages)].sort();
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...wanted], {
    cancelSignal: signal,
    env,
  });
}

function checkFile(name: string, file: (typeof foreignFiles)[keyof typeof foreignFiles]): Check {
  const found = file.paths.find((path) => existsSync(path));
  const { purpose } = file;
  if (found !== undefined) return { name, state: 'ok', detail: found, purpose };
  return { name, state: 'lacking', detail: 'not installed', purpose, install: file.package };
}

/** Programs of the build machine: those that can be asked for their version. */
function toolNames(): ProgramName[] {
  const isName = (name: string): name is ProgramName => Object.hasOwn(programs, name);
  return Object.keys(programs)
    .filter(isName)
    .filter((name) => programOf(name).versionArguments !== undefined);
}

export function checkNode(version: string): Check {
  const state = olderThan(version, lowestNode) ? 'bad' : 'ok';
  const detail = state === 'ok' ? version : `${version}, but ${lowestNode} is the lowest that works`;
  return { name: 'node', state, detail, purpose: 'this program' };
}

async function checkProgram(name: ProgramName, signal: AbortSignal): Promise<Check> {
  const { purpose, lowest, always, rare, versionArguments, package: from } = programOf(name);
  const wanted = rare === true ? {} : { install: from };
  const failing = always === true ? 'bad' : 'lacking';
  try {
    const { stdout, stderr } = await run(name, versionArguments ?? [], { cancelSignal: signal });
    const version = versionIn(`${stdout}\n${stderr}`);
    if (lowest !== undefined && (version === undefined || olderThan(version, lowest))) {
      const detail = `${version ?? 'of unknown version'}, but ${lowest} is the lowest that works`;
      return { name, state: failing, detail, purpose, ...wanted };
    }
    return { name, state: 'ok', detail: version ?? 'there', purpose };
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
    const absent = error.message === missing([name]).message;
    const detail = absent ? 'not installed' : error.message;
    return { name, state: failing, detail, purpose, ...wanted };
  }
}

/** Free space where a folder is or will be. */
async function checkRoom(name: string, folder: string): Promise<Check> {
  const purpose = name === 'store' ? 'downloads and results of stages' : 'images';
  const path = resolve(folder);
  const there = await nearestThere(path);
  const writable = await access(there, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable) return { name, state: 'bad', detail: `${there} cannot be written`, purpose };
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free in ${path}`;
  if (free >= roomForABuild) return { name, state: 'ok', detail, purpose };
  return {
    name,
    state: 'lacking',
    detail: `${detail}; a build may want ${roomForABuild / 1024 ** 3} GiB`,
    purpose,
  };
}

async function nearestThere(path: string): Promise<string> {
  try {
    await access(path);
    return path;
  } catch {
    const parent = dirname(path);
    return parent === path ? path : nearestThere(parent);
  }
}

/** mmdebstrap unpacks packages as root of a user namespace where it is not root itself. */
async function checkNamespaces(): Promise<Check> {
  const check = { name: 'user namespaces', purpose: 'bases made from Debian packages' };
  const { uid, username } = userInfo();
  if (uid === 0) return { ...check, state: 'ok', detail: 'not needed as root' };
  const facts = {
    most: await numberIn('/proc/sys/user/max_user_namespaces'),
    allowed: await numberIn('/proc/sys/kernel/unprivileged_userns_clone'),
    apparmor: await numberIn('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    ranges: await readFile('/etc/subuid', 'utf8').catch(() => ''),
  };
  const why = namespaceObstacle({ ...facts, uid, username });
  return {
    ...check,
    ...(why === undefined ? { state: 'ok', detail: 'allowed' } : { state: 'lacking', detail: why }),
  };
}

/** Why a user may not use user namespaces, from what the kernel and /etc/subuid say. */
export function namespaceObstacle(facts: {
  most: number | undefined;
  allowed: number | undefined;
  apparmor: number | undefined;
  ranges: string;
  uid: number;
  username: string;
}): string | undefined {
  if (facts.most === undefined) return 'the kernel has none';
  if (facts.most === 0) return 'switched off: sysctl user.max_user_namespaces is 0';
  if (facts.allowed === 0) return 'switched off: sysctl kernel.unprivileged_userns_clone is 0';
  if (facts.apparmor === 1) return 'restricted: sysctl kernel.apparmor_restrict_unprivileged_userns is 1';
  const owners = facts.ranges.split('\n').map((line) => line.split(':')[0]);
  if (owners.includes(facts.username) || owners.includes(String(facts.uid))) return undefined;
  return `no range in /etc/subuid: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${facts.username}`;
}

async function numberIn(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.trim());
}

const words = { ok: 'ok', lacking: 'lacking', bad: 'MISSING' } as const;

function render(checks: readonly Check[], install: string | undefined): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const lines = checks.map((check) => {
    return `${words[check.state].padEnd(8)} ${check.name.padEnd(width)}  ${check.detail} (${check.purpose})`;
  });
  if (install !== undefined) lines.push('', 'to install what is not there:', `  ${install}`);
  return lines.join('\n');
}
