// The verbs of the lab as a person types them: they stop what they started and nothing else, whatever happened to it.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { type Running, start } from '../../formats/programs.ts';

const cli = join(import.meta.dirname, '../../builder/cli.ts');
const directory = mkdtempSync(join(tmpdir(), 'lab-verbs-'));
const site = join(directory, 'shop');
const env = { EDGEKILN_LAB: join(directory, 'labs') };
const lab = (...args: string[]) =>
  execa('node', ['--import', 'tsx', cli, 'lab', ...args], { env, reject: false });

const statusSchema = z.object({
  labs: z.array(z.object({ machines: z.array(z.object({ name: z.string(), pid: z.int().optional() })) })),
});

/** Numbers of all processes of the lab. */
async function pids(): Promise<number[]> {
  const { stdout } = await lab('status', '--json');
  const { labs } = statusSchema.parse(JSON.parse(stdout));
  return labs.flatMap(({ machines }) => machines.flatMap(({ pid }) => pid ?? []));
}

function readState() {
  const state = readFileSync(join(env.EDGEKILN_LAB, 'shop/lab.json'), 'utf8');
  return z.object({ keeper: z.object({ pid: z.int() }), sockets: z.string() }).parse(JSON.parse(state));
}

/** A process that is gone, or that waits for somebody to take note of its end. */
function isGone(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    if (await holds()) return;
    await sleep(500);
  }
  throw new Error(`never: ${what}`);
}

let bystander: Running;

beforeAll(() => {
  mkdirSync(site);
  for (const name of ['a', 'b']) {
    writeFileSync(join(site, `${name}.img`), '');
    truncateSync(join(site, `${name}.img`), 1024 * 1024);
  }
  bystander = start('qemu-system-x86_64', ['-machine', 'none', '-nodefaults', '-display', 'none']);
});
afterAll(async () => {
  await lab('down');
  bystander.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

it('starts, shows, joins and stops machines', async () => {
  const up = await lab('up', site, '--memory', '256MiB');
  expect(up.stdout).toBe(
    'shop: running\n  a  on   no IPv4 address seen yet\n  b  on   no IPv4 address seen yet',
  );
  const started = await pids();
  expect(started).toHaveLength(2);

  const again = await lab('up', site);
  expect(again.stderr).toBe('the lab of shop is running\n  to do: edgekiln lab down shop');
  expect(again.exitCode).toBe(2);

  // With an empty disk the firmware ends in its own shell.
  await until('a prompt', async () => (await lab('logs', 'b')).stdout.includes('Shell>'));
  const console = execa('node', ['--import', 'tsx', cli, 'lab', 'console', 'b'], { env, stdin: 'pipe' });
  let shown = '';
  console.stdout.on('data', (bytes: Buffer) => {
    shown += bytes.toString();
  });
  await until('the attached console', () => {
    console.stdin.write('ver\r');
    return shown.includes('UEFI Interactive Shell v');
  });
  console.stdin.end();
  expect((await console).exitCode).toBe(0);

  expect((await lab('down')).stdout).toBe('down: shop');
  expect(started.filter((pid) => !isGone(pid))).toEqual([]);
  expect(existsSync(join(env.EDGEKILN_LAB, 'shop'))).toBe(false);
  expect((await lab('down')).stdout).toBe('no lab is running');
  expect(isGone(bystander.pid)).toBe(false);
});

it('leaves nothing behind when its background process is killed, and says what became of it', async () => {
  await lab('up', site, '-n', '1', '--memory', '256MiB');
  const [machine = 0] = await pids();
  const { keeper, sockets } = readState();
  expect(isGone(machine)).toBe(false);
  process.kill(keeper.pid, 'SIGKILL');
  await until('the end of the machine', () => isGone(machine));

  const status = await lab('status');
  expect(status.stdout).toBe('shop: not running any more; edgekiln lab down shop removes what is left');
  const console = await lab('console', 'a');
  expect([console.exitCode, console.stderr]).toEqual([
    2,
    'no lab of shop is running\n  to do: edgekiln lab status',
  ]);
  expect((await lab('down', 'shop')).stdout).toBe('down: shop');
  expect(existsSync(sockets)).toBe(false);
  expect(readdirSync(env.EDGEKILN_LAB)).toEqual([]);
  expect(isGone(bystander.pid)).toBe(false);
});

it('tells why a lab cannot start, and leaves nothing running', async () => {
  const up = await lab('up', site, '-n', '1', '--clock', 'noon');
  expect([up.exitCode, up.stderr]).toEqual([2, 'places.0.clock: utc or YYYY-MM-DDTHH:MM:SS']);
  rmSync(join(site, 'a.img'));
  mkdirSync(join(site, 'a.img'));
  const broken = await lab('up', site, '-n', '1');
  expect([broken.exitCode, broken.stderr]).toEqual([
    2,
    `${join(site, 'a.img')}: this image is not there\n  to do: build it first: edgekiln build PROFILE`,
  ]);
  // The background process had begun: it wrote down who it is before it failed.
  expect(isGone(readState().keeper.pid)).toBe(true);
  expect((await lab('down')).stdout).toBe('down: shop');
});
