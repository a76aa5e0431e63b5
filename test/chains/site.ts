// A site for the chain tests: built once by the real command line, and a shell on its machines.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../lab/qemu/machine.ts';

const program = join(import.meta.dirname, '../../dist/edgekiln.mjs');
const password = 'only for tests';

export interface TestSite {
  /** Scratch folder: profile, keys, output. */
  readonly folder: string;
  readonly profile: string;
  /** Runs a verb of the real program; fails the test when it exits otherwise than expected. */
  edgekiln(...args: string[]): { stdout: string; stderr: string };
  image(hostname: string): string;
}

/** For `makeSite`: a device that is alone never founds a cluster, and what is looked at is not disturbed by k3s. */
export const alone = 'formation: {policy: majority}\n';

/** A profile of three virtual PCs with a user who may become root. `more` is added to it. */
export function makeSite(name: string, more = ''): TestSite {
  const folder = mkdtempSync(join(tmpdir(), `edgekiln-${name}-`));
  const profile = join(folder, `${name}.yaml`);
  const hash = execFileSync('openssl', ['passwd', '-6', password], { encoding: 'utf8' }).trim();
  writeFileSync(
    profile,
    `apiVersion: edgekiln/v1
site: {name: ${name}}
board: qemu-x86_64
k3s: {standIn: true}
slots: {size: 1GiB}
devices: [{name: one}, {name: two}, {name: three}]
users: [{name: tester, passwordHash: '${hash}', sudo: true}]
${more}`,
  );
  mkdirSync(join(folder, 'output'));
  return {
    folder,
    profile,
    image: (hostname) => join(folder, 'output', name, `${hostname}.img`),
    edgekiln(...args) {
      const done = spawnSync(process.execPath, [program, ...args], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, EDGEKILN_KEYS: join(folder, 'keys') },
      });
      if (done.status !== 0)
        throw new Error(`edgekiln ${args.join(' ')} ended with ${done.status}\n${done.stderr}`);
      return done;
    },
  };
}

/** Puts the lock of the quickstart to `target`, made first where there is none: its packages are in the store then. */
export function copyQuickstartLock(target: string): void {
  const quickstart = join(import.meta.dirname, '../../profiles/quickstart.yaml');
  const lock = quickstart.replace('.yaml', '.lock.yaml');
  if (!existsSync(lock))
    execFileSync(process.execPath, [program, 'artifacts', 'fetch', quickstart], { stdio: 'pipe' });
  copyFileSync(lock, target);
}

/** A root shell on a machine's console. */
export interface Shell {
  /** Runs a command line and gives what it wrote; fails when it fails. */
  run(command: string, timeoutMs?: number): Promise<string>;
}

/** What the console says when the agent is up; docs/boot.md and the agent's tests name it. */
export const healthy = /edgekiln: (\S+) \(place (\d+) of (\S+)\) slot ([AB]), healthy/;

/** For what a machine does at once when its host has nothing else to do, ms. */
const patience = 240_000;

/** Logs in and becomes root. */
export async function logIn(machine: Machine): Promise<Shell> {
  const { console } = machine;
  console.send('\n');
  await console.waitFor(/login: /, patience);
  console.send('tester\n');
  await console.waitFor(/Password: /, patience);
  console.send(`${password}\n`);
  await console.waitFor(/\$ /, patience);
  console.send(`stty -echo; PS1=; exec sudo -S -p 'becoming''-root ' sh\n`);
  await console.waitFor(/becoming-root /, patience);
  console.send(`${password}\n`);
  // What is typed before the shell asks is lost: sudo empties the line.
  await console.waitFor(/# /, patience);
  let count = 0;
  return {
    async run(command, timeoutMs = patience) {
      const mark = `mark${++count}`;
      console.send(`echo ${mark}-begin; ${command}; echo ${mark}-end $?\n`);
      const found = await console.waitFor(
        new RegExp(`${mark}-begin\\r?\\n([\\s\\S]*?)${mark}-end (\\d+)`),
        timeoutMs,
      );
      if (found[2] !== '0') throw new Error(`${command} ended with ${found[2]}\n${found[1]}`);
      return (found[1] ?? '').replaceAll('\r', '').trimEnd();
    },
  };
}

/** The status as the device itself gives it. */
export async function statusOf(shell: Shell): Promise<Record<string, unknown>> {
  const text = await shell.run('edgekiln-node status --json');
  return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
}
