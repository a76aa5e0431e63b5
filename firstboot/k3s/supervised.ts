// k3s as a child in a process group of its own, for machines without systemd: the lab's. It does what the units do:
// starts again five seconds after an end, stops the main process alone, and outlives the agent, which finds it again.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord, parseJson } from '../../formats/json.ts';
import { inOneLine } from '../inoneline.ts';
import type { K3sPaths } from './paths.ts';
import type { K3sRole, Units } from './units.ts';

const restartAfter = 5000;
/** How long a process may take to end; one that was removed from etcd hangs. */
const patience = 20_000;

interface Child {
  readonly pid: number;
  /** When it started, in ticks since the kernel did: a number is given out again, the pair is not. */
  readonly started: string;
  readonly role: K3sRole;
}

export class SupervisedUnits implements Units {
  readonly #paths: K3sPaths;
  #wanted: K3sRole | undefined;
  #child: Child | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(paths: K3sPaths) {
    this.#paths = paths;
    this.#child = readChild(paths.process);
    this.#wanted = this.#child?.role;
    if (this.#child !== undefined) this.#watchOver();
  }

  async start(role: K3sRole): Promise<void> {
    if (this.#wanted === role && this.#child !== undefined && alive(this.#child)) return;
    await this.stop();
    this.#wanted = role;
    await this.#spawn();
  }

  async stop(): Promise<void> {
    this.#wanted = undefined;
    clearTimeout(this.#watch);
    const child = this.#child;
    if (child === undefined) return;
    signal(child, 'SIGTERM');
    for (let waited = 0; alive(child); waited += 100) {
      if (waited >= patience) signal(child, 'SIGKILL');
      await sleep(100);
    }
    this.#child = undefined;
    await rm(this.#paths.process, { force: true });
  }

  async running(): Promise<K3sRole | undefined> {
    return this.#wanted;
  }

  leave(): void {
    clearTimeout(this.#watch);
  }

  async #spawn(): Promise<void> {
    const role = this.#wanted;
    if (role === undefined) return;
    const log = openSync(this.#paths.log, 'a', 0o600);
    const environment = await readFile(this.#paths.environment, 'utf8').catch(() => '');
    const own = environment.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value] as const];
    });
    const child = spawn(this.#paths.program, [role], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...Object.fromEntries(own) },
    });
    closeSync(log);
    child.on('error', (error) => console.error(`k3s: ${inOneLine(error)}`));
    child.unref();
    if (child.pid === undefined) return this.#watchOver();
    this.#child = { pid: child.pid, started: startOf(child.pid) ?? '', role };
    await writeFile(this.#paths.process, JSON.stringify(this.#child), { mode: 0o600 });
    this.#watchOver();
  }

  #watchOver(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      if (this.#wanted === undefined) return;
      if (this.#child !== undefined && alive(this.#child)) return this.#watchOver();
      this.#watch = setTimeout(() => {
        this.#spawn().catch((error: unknown) => {
          console.error(`k3s: ${inOneLine(error)}`);
          this.#watchOver();
        });
      }, restartAfter);
    }, 1000);
  }
}

function readChild(file: string): Child | undefined {
  if (!existsSync(file)) return undefined;
  const value = parseJson(readFileSync(file, 'utf8'));
  if (!isRecord(value)) return undefined;
  const { pid, started, role } = value;
  if (typeof pid !== 'number' || typeof started !== 'string') return undefined;
  if (role !== 'server' && role !== 'agent') return undefined;
  const child = { pid, started, role } as const;
  return alive(child) ? child : undefined;
}

function alive({ pid, started }: Child): boolean {
  return startOf(pid) === started;
}

/** Field 22 of /proc/PID/stat; undefined for a process that ended, even if nobody waited for it yet. */
function startOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function signal({ pid }: Child, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself meanwhile.
  }
}
