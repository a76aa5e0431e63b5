// Hosts in namespaces at the command line: what it refuses and says, and that nothing is left when it ends badly.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, expect, it } from 'vitest';
import { groupsOf } from '../../lab/namespaces/groups.ts';
import { until } from './site.ts';

const site = 'nskeeper';
const folder = mkdtempSync(join(tmpdir(), 'edgekiln-keeper-'));
const profile = join(folder, 'shop.yaml');
const state = join(folder, 'labs', site, 'lab.json');
writeFileSync(
  profile,
  `apiVersion: edgekiln/v1
site: {name: ${site}}
board: qemu-x86_64
base: {debian: {suite: trixie}}
k3s: {standIn: true}
files: [{path: /etc/motd, content: hello}]
devices: [{name: till}, {name: scale}]
`,
);
afterAll(async () => {
  await lab('down');
  rmSync(folder, { recursive: true });
});

/** The lab's verbs, as a person types them. */
const lab = (...words: string[]) =>
  execa('node', [join(import.meta.dirname, '../../dist/edgekiln.mjs'), 'lab', ...words], {
    reject: false,
    timeout: 200_000,
    env: { EDGEKILN_LAB: join(folder, 'labs'), EDGEKILN_KEYS: join(folder, 'keys') },
  });
const up = ['up', profile, '--hosts', 'namespaces'];
const keeper = (): number => JSON.parse(readFileSync(state, 'utf8')).keeper.pid;

/** Processes of the hosts, by their control groups. */
function processes(): number {
  const files = groupsOf(site).map((group) => join(group, 'cgroup.procs'));
  const pids = files.flatMap((file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []));
  return new Set(pids.filter((pid) => pid !== '')).size;
}
/** Cables of a keeper, and mounts of the hosts that this machine would see. */
const left = (pid: number): string[] => [
  ...readdirSync('/sys/class/net').filter((name) => name.startsWith(`ek${pid.toString(36)}.`)),
  ...readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(folder)),
];

it('refuses what is for machines, and says what of a profile it does not try', async () => {
  const refused = await lab(...up, '--memory', '1GiB');
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('--memory is for machines: hosts in namespaces share those of this one');
  const started = await lab(...up, '--wait', '150');
  expect([started.exitCode, started.stderr]).toEqual([
    0,
    expect.stringContaining('not tried here, images alone have it: files'),
  ]);
  expect(started.stdout).toContain(`${site}-scale`);
  expect(processes()).toBeGreaterThan(4);
});

it('a keeper that is killed takes all with it; the next verb removes what files and groups it left', async () => {
  const pid = keeper();
  process.kill(pid, 'SIGKILL');
  await until(
    'no process',
    10,
    async () => processes(),
    (count) => count === 0,
  );
  await until(
    'no cable',
    10,
    async () => left(pid),
    (names) => names.length === 0,
  );
  expect((await lab('down')).stdout).toContain(`down: ${site}`);
  expect([groupsOf(site), existsSync(join(folder, 'labs', site))]).toEqual([[], false]);
});

it.each([0, 400, 1500])('Ctrl-C %i ms after hosts begin to start leaves nothing behind', async (later) => {
  const starting = lab(...up, '--wait', '150');
  await until('the keeper', 30, async () => existsSync(state), Boolean);
  const pid = keeper();
  await sleep(later);
  starting.kill('SIGINT');
  const ended = await starting;
  if (ended.exitCode !== 0) expect(ended.exitCode).toBe(130);
  await lab('down');
  expect([processes(), groupsOf(site), left(pid)]).toEqual([0, [], []]);
});
