// The agent as it runs on a device: bundled into one file, started as a process below another root.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { flashedState } from '../formats/bootstate.ts';
import { bootRecord, type DeviceFiles, diskBytes, makeDevice, stamp } from './device.fixture.ts';

let folder: string;
let program: string;
const running: ChildProcess[] = [];
const roots: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekiln-agent-'));
  program = join(folder, 'edgekiln-node.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'agent.ts')],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner: {
      js: "import { createRequire as kilnRequire } from 'node:module';\nconst require = kilnRequire(import.meta.url);",
    },
  });
});

afterEach(async () => {
  for (const child of running.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  for (const root of roots.splice(0)) await rm(root, { recursive: true, force: true });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function call(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function start(
  changed: DeviceFiles = {},
): Promise<{ root: string; port: number; child: ChildProcess }> {
  const root = await makeDevice(changed);
  roots.push(root);
  const port = await freePort();
  const child = spawn(process.execPath, [program, 'run', '--root', root, '--port', String(port)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  running.push(child);
  for (let tries = 0; tries < 500; tries += 1) {
    const page = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (page?.ok) return { root, port, child };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the agent does not serve its page');
}

test('a whole device: page, JSON, command line, name, kept files, console, end', async () => {
  const { root, port, child } = await start();
  const at = (path: string): string => `http://127.0.0.1:${port}${path}`;

  const page = await fetch(at('/'));
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await page.text()).toContain('place 1 of quickstart');
  expect((await fetch(`http://[::1]:${port}/`)).status).toBe(200);
  expect((await fetch(at('/'), { method: 'HEAD' })).status).toBe(200);
  const posted = await fetch(at('/'), { method: 'POST', body: 'x' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect((await fetch(at('/etc/passwd'))).status).toBe(404);

  const served: unknown = await (await fetch(at('/status.json'))).json();
  expect(served).toMatchObject({
    version: 1,
    healthy: true,
    name: 'shop-01',
    place: 1,
    site: 'quickstart',
    demo: false,
    slot: { current: 'a', state: 'good', a: 'good', b: 'bad' },
    data: { state: 'mounted', usable: true },
    problems: ['site: the stamp carries no roster: build the image again'],
    versions: { os: 'Debian GNU/Linux 13 (trixie)', k3s: 'v1.36.4+k3s1' },
  });

  const asked = await call('status', '--json', '--root', root);
  expect(asked.code).toBe(0);
  expect(JSON.parse(asked.stdout)).toMatchObject({ version: 1, name: 'shop-01' });
  expect((await call('status', '--root', root)).stdout).toMatch(/^shop-01 \(place 1 of quickstart\)\n/);
  expect((await stat(join(root, 'run/edgekiln/status.sock'))).mode & 0o777).toBe(0o666);

  expect(await readFile(join(root, 'proc/sys/kernel/hostname'), 'utf8')).toBe('shop-01');
  expect(await readFile(join(root, 'etc/hosts'), 'utf8')).toContain('\n127.0.1.1 shop-01\n');
  const kept = join(root, 'run/edgekiln/data/persist/etc/machine-id');
  expect(await readFile(kept, 'utf8')).toBe('0123456789abcdef0123456789abcdef\n');
  expect((await stat(kept)).mode & 0o777).toBe(0o444);
  expect(await readFile(join(root, 'dev/ttyS0'), 'utf8')).toMatch(
    /^edgekiln: shop-01 \(place 1 of quickstart\) slot A, healthy.*\r\n/,
  );

  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  const after = await call('status', '--root', root);
  expect([after.code, after.stdout]).toEqual([4, '']);
  expect(after.stderr).toContain('the agent does not answer');
});

test('it confirms the slot it runs from, and at rest stays under 35 MB of private memory', async () => {
  const { root, port, child } = await start({ '/dev/vda': diskBytes({ ...flashedState, left: 5 }) });
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${port}/status.json`)).json(), {
      timeout: 50_000,
      interval: 1000,
    })
    .toMatchObject({ slot: { seq: 1, left: 9 } });
  expect((await stat(join(root, 'run/edgekiln/confirmed'))).size).toBe(0);
  const slots = await call('slots', '--root', root);
  expect([slots.code, slots.stdout]).toEqual([
    0,
    expect.stringMatching(/^slot a {2}good, runs, boots next, 9 attempts left\nslot b /),
  ]);
  const rollup = await readFile(`/proc/${child.pid}/smaps_rollup`, 'utf8');
  const dirty = Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1]);
  expect(dirty).toBeGreaterThan(1000);
  expect(dirty).toBeLessThan(35_000);
});

test('with nothing but its image it comes up, says what is missing and holds', async () => {
  const { root, port } = await start({
    '/run/edgekiln/boot.json': JSON.stringify({
      ...bootRecord,
      data: { state: 'missing', detail: 'no partition 4' },
    }),
    '/run/edgekiln/stamp': undefined,
    '/sys/class/net/eth0/carrier': '0\n',
    '/sys/class/tty/console/active': undefined,
  });
  const status: unknown = await (await fetch(`http://127.0.0.1:${port}/status.json`)).json();
  expect(status).toMatchObject({
    healthy: true,
    place: null,
    phase: 'held',
    waitsFor: [{ id: 'stamp' }, { id: 'data' }, { id: 'link' }],
    problems: [
      'the initrd left no stamp',
      'data is missing: no partition 4; so it neither votes, founds nor joins',
    ],
  });
  await expect(stat(join(root, 'run/edgekiln/data/persist'))).rejects.toThrow('ENOENT');
});

test('without the configuration of its image it serves, but is not healthy', async () => {
  const { port } = await start({ '/etc/edgekiln/agent.json': undefined });
  const status: unknown = await (await fetch(`http://127.0.0.1:${port}/status.json`)).json();
  expect(status).toMatchObject({ healthy: false, name: 'shop-01', site: 'quickstart' });
});

const namespaces = spawnSync('unshare', ['-rn', 'true']).status === 0;

test.runIf(namespaces)('with no network at all, loopback included, it is healthy', async () => {
  const root = await makeDevice({ '/sys/class/net/eth0/carrier': undefined });
  roots.push(root);
  running.push(
    spawn('unshare', ['-rn', process.execPath, program, 'run', '--root', root], { stdio: 'ignore' }),
  );
  await expect
    .poll(async () => (await call('status', '--json', '--root', root)).stdout, {
      timeout: 50_000,
      interval: 200,
    })
    .toContain('"healthy": true');
  const status: unknown = JSON.parse((await call('status', '--json', '--root', root)).stdout);
  expect(status).toMatchObject({ phase: 'waiting', waitsFor: [{ id: 'interface' }], urls: [] });
});

test('clients that send nothing are hung up on', async () => {
  const { port } = await start();
  const socket = connect(port, '127.0.0.1');
  const began = Date.now();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(Date.now() - began).toBeLessThan(30_000);
});

test('one client cannot flood the page', async () => {
  const { port } = await start();
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
  const open = new Set(sockets);
  for (const socket of sockets)
    socket.on('error', () => undefined).once('close', () => void open.delete(socket));
  try {
    await expect.poll(() => open.size, { timeout: 30_000, interval: 20 }).toBeLessThanOrEqual(8);
    // Those that are left are hung up on seconds later, for they say nothing.
    expect(open.size).toBe(8);
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

test.each([
  [['nonsense'], 2, "there is no verb 'nonsense'"],
  [['status', '--nonsense'], 2, "Unknown option '--nonsense'"],
  [['logs', '--lines', 'all'], 2, "'all' is not a number of lines"],
  [['run', '--port', '99999'], 2, "'99999' is not a port"],
  [['kubeconfig', '--root', '/nonexistent'], 4, 'this device is no server of a cluster'],
  [['images', 'import'], 2, 'images needs `import` and one file'],
  [['images', 'import', 'x', '--root', '/nonexistent'], 4, 'the configuration of the image is not there'],
  [['resolve', '--root', '/nonexistent'], 4, 'the agent does not answer'],
  [['kubeconfig', '--server', 'http://shop-01'], 2, "'http://shop-01' is neither a name nor an address"],
  [['kubeconfig', '--server', ''], 2, "'' is neither a name nor an address"],
])('edgekiln-node %j ends with %i', async (args, code, said) => {
  const ended = await call(...args);
  expect([ended.code, ended.stdout]).toEqual([code, '']);
  expect(ended.stderr).toContain(said);
});

test('orders are for root alone; a kubeconfig names an address of the LAN', async () => {
  const yaml = '/etc/rancher/k3s/k3s.yaml';
  const { root } = await start({ [yaml]: '- cluster:\n    server: https://127.0.0.1:6443\n' });
  expect((await stat(join(root, 'run/edgekiln/control.sock'))).mode & 0o777).toBe(0o600);
  const resolved = await call('resolve', '--root', root);
  expect([resolved.code, resolved.stderr]).toEqual([
    0,
    'this device takes no part in its site yet: see edgekiln-node status\n',
  ]);
  const config = await call('kubeconfig', '--root', root, '--server', '192.168.1.20');
  // The certificate names the device, whatever address leads to it.
  expect([config.code, config.stdout]).toEqual([
    0,
    '- cluster:\n    server: https://192.168.1.20:6443\n    tls-server-name: shop-01\n',
  ]);
  const six = await call('kubeconfig', '--root', root, '--server', 'fd00::1', '--json');
  expect(JSON.parse(six.stdout)).toEqual({
    version: 1,
    server: 'https://[fd00::1]:6443',
    tlsServerName: 'shop-01',
    kubeconfig: '- cluster:\n    server: https://[fd00::1]:6443\n    tls-server-name: shop-01\n',
  });
  await writeFile(join(root, yaml), '');
  const torn = await call('kubeconfig', '--root', root);
  expect([torn.code, torn.stdout]).toEqual([4, '']);
  expect(torn.stderr).toContain('k3s has not written its kubeconfig whole');
});

test.runIf(process.getuid?.() === 0)(
  'what only root may do is said to everybody else, and is no bug',
  async ({ skip }) => {
    const { root } = await start({ '/proc/sys/kernel/hostname': 'shop-01\n' });
    for (const open of [folder, root, join(root, 'run'), join(root, 'run/edgekiln')])
      await chmod(open, 0o755);
    await chmod(join(root, 'dev/vda'), 0o600);
    const nobody = (...args: string[]): Ended => {
      const words = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, program, ...args];
      const { status, stdout, stderr } = spawnSync('setpriv', [...words, '--root', root], {
        encoding: 'utf8',
      });
      return { code: status ?? 1, stdout, stderr };
    };
    // Where Node or the folder of tests is root's alone, nobody else can try.
    if (nobody('--help').code !== 0) skip();
    expect(nobody('status').code).toBe(0);
    for (const args of [['resolve'], ['reset', '--confirm', 'shop-01 shop-01'], ['fill']]) {
      const ended = nobody(...args);
      expect([args[0], ended.code, ended.stdout]).toEqual([args[0], 4, '']);
      expect(ended.stderr).toContain(`only root may do this`);
      expect(ended.stderr).toContain(`to do: sudo edgekiln-node ${args[0]}`);
    }
  },
);

test('logs that are followed end with the verb', async () => {
  // In the place of journalctl: the machine of a test may have none.
  const journal = join(folder, 'journalctl');
  await writeFile(journal, '#!/bin/sh\necho "following $$"\nexec sleep 600\n', { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
  const child = spawn(process.execPath, [program, 'logs', '--follow'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env,
  });
  running.push(child);
  const pid = await new Promise<number>((resolve) => {
    child.stdout.once('data', (said: Buffer) => resolve(Number(/\d+/.exec(said.toString())?.[0])));
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
});

test('a reset needs the name twice, and then the next boot makes data anew', async () => {
  const root = await makeDevice({ '/proc/sys/kernel/hostname': 'shop-01\n' });
  roots.push(root);
  const note = async (): Promise<string> => {
    const disk = await readFile(join(root, 'dev/vda'));
    const at = 3 * 1024 * 1024 + 64 * 1024;
    return disk.toString('latin1', at, disk.indexOf(0, at) + 1);
  };
  const before = await note();
  for (const confirm of [[], ['--confirm', 'shop-01'], ['--confirm', 'shop-01 shop-02']]) {
    expect((await call('reset', '--root', root, ...confirm)).code).toBe(2);
    expect(await note()).toBe(before);
  }
  const done = await call('reset', '--root', root, '--json', '--confirm', 'shop-01 shop-01');
  expect([done.code, done.stderr]).toEqual([0, 'shop-01 begins anew at its next boot.\n']);
  expect(JSON.parse(done.stdout)).toEqual({ version: 1, name: 'shop-01', reset: 'next boot' });
  expect(await note()).toBe(`making ${bootRecord.flash}\n\0`);
});

test('every verb has help with an example', async () => {
  const usage = (await call('--help')).stdout;
  const verbs = [...usage.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, verb]) => verb ?? '');
  expect(verbs).toContain('status');
  for (const verb of verbs) {
    const help = await call(verb, '--help');
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('Example:')]);
  }
});

test('it fills slot B with a program of its own, and marks it good once that has verified it', async () => {
  const { root, port } = await start({ '/proc/cmdline': 'quiet ro edgekiln.slot=a edgekiln.fill=0\n' });
  const { a, b } = stamp.disk.slots;
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${port}/status.json`)).json(), {
      timeout: 30_000,
      interval: 500,
    })
    .toMatchObject({ slot: { a: 'good', b: 'good' } });
  const disk = await readFile(join(root, 'dev/vda'));
  for (const [from, to] of stamp.slot.mapped)
    expect(
      disk.subarray(b.start + from, b.start + to).equals(disk.subarray(a.start + from, a.start + to)),
    ).toBe(true);
  expect(await readFile(join(root, 'proc/sys/vm/drop_caches'), 'utf8')).toBe('1');
});

test('a slot that is not what was flashed is not copied for good: the status says why', async () => {
  const rotten = diskBytes();
  rotten.fill(0, stamp.disk.slots.a.start, stamp.disk.slots.a.start + 512);
  const { port } = await start({
    '/dev/vda': rotten,
    '/proc/cmdline': 'quiet ro edgekiln.slot=a edgekiln.fill=0\n',
  });
  await expect
    .poll(async () => (await fetch(`http://127.0.0.1:${port}/status.json`)).json(), {
      timeout: 30_000,
      interval: 500,
    })
    .toMatchObject({
      slot: { a: 'good', b: 'bad' },
      problems: expect.arrayContaining([expect.stringContaining('the slot to copy is not what was flashed')]),
    });
});
