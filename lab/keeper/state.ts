// Where labs are kept, and which process keeps one: a number alone does not name a process, numbers are used again.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { groupsOf, removeGroups } from '../namespaces/groups.ts';

const processSchema = z.strictObject({
  pid: z.int().positive(),
  /** When it started, in clock ticks since boot: field 22 of /proc/PID/stat. */
  started: z.string(),
  /** The boot of the host that this was in. */
  boot: z.string(),
});

const labStateSchema = z.strictObject({
  version: z.literal(1),
  site: z.string(),
  keeper: processSchema,
  /** Folder of its sockets; `control` in it takes requests. */
  sockets: z.string(),
});

export type ProcessIdentity = z.infer<typeof processSchema>;
export type LabState = z.infer<typeof labStateSchema>;

/** The folder that holds a folder for every lab: EDGEKILN_LAB, or edgekiln/lab in the person's state folder. */
function labsFolder(): string {
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local/state');
  return resolve(process.env['EDGEKILN_LAB'] || join(state, 'edgekiln/lab'));
}

/** The folder of one lab. A name that could lead elsewhere is an input failure: what is in the folder gets removed. */
export function labFolder(site: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(site)) return join(labsFolder(), site);
  throw new Failure('input', { what: `${site} cannot be the name of a site`, fix: 'edgekiln lab status' });
}

/** Labs that are running, or were and were not taken down. */
export function labSites(): readonly string[] {
  const folder = labsFolder();
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((site) => existsSync(join(folder, site, 'lab.json')));
}

function readState(site: string): LabState | undefined {
  try {
    return labStateSchema.parse(JSON.parse(readFileSync(join(labFolder(site), 'lab.json'), 'utf8')));
  } catch {
    return undefined; // none, or torn by a crash: either way nobody can be found by it
  }
}

export function writeState(directory: string, state: LabState): void {
  const file = join(directory, 'lab.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** `stale`: its keeper is gone, its files are not. */
export function stateOf(site: string): 'running' | 'stale' | 'none' {
  const state = readState(site);
  if (state !== undefined && isAlive(state.keeper)) return 'running';
  return existsSync(labFolder(site)) ? 'stale' : 'none';
}

/** The control socket of a lab; one that does not run is an input failure. */
export function controlOf(site: string): string {
  const state = readState(site);
  if (state !== undefined && isAlive(state.keeper)) return join(state.sockets, 'control');
  throw new Failure('input', { what: `no lab of ${site} is running`, fix: 'edgekiln lab status' });
}

/**
 * Ends a lab and removes its files: disks, logs, sockets. Only its keeper is ever signalled, and only while it is that
 * very process; with the keeper all that it started ends. Undefined if there was none.
 */
export async function endLab(site: string): Promise<string | undefined> {
  const folder = labFolder(site);
  const state = readState(site);
  if (state !== undefined) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (isAlive(state.keeper)) process.kill(state.keeper.pid, signal);
      for (let tries = 0; tries < 100 && isAlive(state.keeper); tries++) await sleep(100);
    }
    rmSync(state.sockets, { recursive: true, force: true });
  }
  await removeGroups(groupsOf(site));
  if (!existsSync(folder)) return undefined;
  rmSync(folder, { recursive: true, force: true });
  return site;
}

/** Names a running process for ever; undefined if there is none of this number. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program's name is in parentheses and may hold anything; fields are counted from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [status, started] = [fields[0], fields[19]];
    return started === undefined || status === 'Z' ? undefined : { pid, started, boot };
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs. */
function isAlive(known: ProcessIdentity): boolean {
  const now = identify(known.pid);
  return now !== undefined && now.started === known.started && now.boot === known.boot;
}
