// One host in namespaces of its own: network, mounts, processes, host name, control groups. It shares kernel, clock and
// programs with this machine, nothing else. Needs root.
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../formats/errors.ts';
import { type Running, start } from '../../formats/programs.ts';
import { newConsole } from '../keeper/console.ts';
import type { Host } from '../keeper/host.ts';
import { boot, joinGroups } from './boot.ts';
import { hierarchies, makeGroups, removeGroups } from './groups.ts';
import type { Wires } from './wires.ts';

export interface NamespaceOptions {
  readonly name: string;
  readonly site: string;
  /** Its log and its data go here; must exist. */
  readonly directory: string;
  /** What flashing would have put on it: see flash.ts. */
  readonly flashed: { readonly slot: string; readonly stamp: string; readonly flash: string };
  /** A k3s to use in place of the slot's. */
  readonly k3s?: string | undefined;
  /** More for the environment of the agent. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** A router on the LAN gives leases. */
  readonly leases: boolean;
  readonly lan: { readonly wires: Wires; readonly socket: string; readonly mac: string };
}

/** Powers a host on; returns when its cable is plugged in. It cannot outlive this process. */
export async function startHost(options: NamespaceOptions): Promise<Host> {
  const { name, site, directory, lan } = options;
  const log = join(directory, `${name}.log`);
  const data = join(directory, 'data');
  const console = newConsole(name, log, () => {});
  let running: Running | undefined;
  let over: Promise<void> = Promise.resolve();

  const powerOn = async (): Promise<void> => {
    if (running !== undefined) return;
    await over;
    mkdirSync(data, { recursive: true, mode: 0o755 });
    const all = hierarchies();
    const groups = makeGroups(all, site, name);
    const environment = {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      BOOT: boot,
      NAME: name,
      GROUPS: groups.join(' '),
      CONTROLLERS: all
        .map(({ type, options: mount, mountPoint }) =>
          [type, mount, mountPoint.replace(/^\/sys\/fs\/cgroup\/?/, '') || '.'].join(' '),
        )
        .join('\n'),
      SLOT: options.flashed.slot,
      STAMP: options.flashed.stamp,
      FLASH: options.flashed.flash,
      DATA: data,
      NODE: process.execPath,
      K3S: options.k3s ?? '',
      LEASES: options.leases ? 'yes' : '',
      SETTINGS: Object.entries(options.settings ?? {})
        .map((setting) => setting.join('='))
        .join(' '),
    };
    const apart = ['--net', '--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child'];
    const started = start('unshare', [...apart, 'sh', '-c', `exec 2>&1\n${joinGroups}`], {
      cwd: '/',
      env: environment,
      onStdout: console.feed,
    });
    running = started;
    over = started.ended.then(async ({ code, signal, said }) => {
      running = undefined;
      await lan.wires.unplug(name);
      console.ended(`the host went off: ${said || (signal ?? code)}`);
      await removeGroups(groups);
    });
    await ownNetwork(started);
    const cable = { name, socket: lan.socket, mac: lan.mac, pid: started.pid };
    const problem = await lan.wires.plug(cable).catch((error: unknown) => error);
    if (running !== started) throw notStarted(name, log);
    if (problem !== undefined) throw problem;
  };
  const powerCut = async (): Promise<undefined> => {
    // The cable first: QEMU asks a device without a namespace for ever.
    if (running !== undefined) await lan.wires.unplug(name);
    if (running !== undefined && !killFirst(running.pid)) running.kill('SIGKILL');
    await over;
  };
  const stop = async (): Promise<void> => {
    await powerCut();
    await console.close();
  };

  try {
    await powerOn();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kind: 'namespaces',
    name,
    console,
    log,
    pid: () => running?.pid,
    powerCut,
    powerOn,
    async reset() {
      await powerCut();
      await powerOn();
    },
    async reflash() {
      await powerCut();
      rmSync(data, { recursive: true, force: true });
      await powerOn();
    },
    off: () => over,
    stop,
  };
}

/**
 * Kills the host's own process 1, below the one that made its namespaces: all others end with it, and that one sees its
 * end when all of them are gone. False where there is none yet, or none any more.
 */
function killFirst(pid: number): boolean {
  try {
    const [first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first !== '' && process.kill(Number(first), 'SIGKILL');
  } catch {
    return false;
  }
}

/** Waits until a process has left our network, or ended. */
async function ownNetwork({ pid, ended }: Running): Promise<void> {
  let gone = false;
  void ended.then(() => {
    gone = true;
  });
  const ours = readlinkSync('/proc/self/ns/net');
  const theirs = `/proc/${pid}/ns/net`;
  while (!gone && existsSync(theirs)) {
    if (readlinkSync(theirs) !== ours) return;
    await sleep(5);
  }
}

function notStarted(name: string, log: string): Failure {
  const why = readFileSync(log, 'utf8').trim().split('\n').slice(-5).join('\n  ');
  return new Failure('environment', { what: `host ${name} did not start`, where: log, why });
}
