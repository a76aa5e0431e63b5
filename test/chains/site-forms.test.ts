// What is sold, whole: three machines of 1 GB from one image and three stamps become one cluster with three servers. Then
// the power goes, of all at once and with what their disks had not been told to keep. One of them has no battery: its
// clock says 1970 at every start. They come back as the same cluster.
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaCommand } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import { type ClusterView, untilCluster } from '../namespaces/cluster.ts';
import { until } from '../namespaces/site.ts';
import { setArguments } from './medium.ts';
import { healthy, logIn, makeSite, type Shell, type TestSite } from './site.ts';

const names = ['one', 'two', 'three'] as const;
type Name = (typeof names)[number];
const all = names.map((name) => `forms-${name}`);
const whole = { ready: all, servers: all };
/** The one without a battery. It is neither founder nor the only one that is asked. */
const timeless: Name = 'three';
/** Emulated machines, three on a core or two: what takes a board seconds may take them minutes. ms, and s. */
const boots = 300_000;
const forms = 300;
/** Nothing above takes so long, not even three times of it. */
const timeout = 3 * (boots + forms * 1000);

let site: TestSite;
let lab: Lab;
const machines = new Map<string, Machine>();
const shells = new Map<string, Shell>();
let formed: ClusterView;

/** The servers are asked from here: a program that is started on an emulated machine takes it seconds. */
const hosts = {
  async run(name: string, line: string): Promise<string> {
    const { kubernetes } = lab.forwards(name);
    if (kubernetes === undefined) throw new Error(`no way leads to ${name}`);
    // Each answer costs a machine that is emulated some of what it has to form with.
    await sleep(2000);
    return (await execaCommand(`${line} ${keysFolder()} ${kubernetes}`, { timeout: 30_000 })).stdout;
  },
};
/** What the founder has of the cluster's keys, below the paths it has them at. */
const keysFolder = (): string => join(site.folder, 'founder');

beforeAll(async () => {
  site = makeSite('forms');
  site.edgekiln('build', site.profile);
  // Filling slot B is for other chains: copying a gigabyte would keep emulated machines from everything else.
  for (const name of all) setArguments(site.image(name), 'edgekiln.fill=86400');
  lab = await openLab({ site: 'forms', directory: join(site.folder, 'lab'), seed: 7 });
});
afterAll(async () => {
  await lab?.stop();
  rmSync(site.folder, { recursive: true });
});

/** Waits for the agents of machines that were powered on, and logs in on each. */
async function arrive(): Promise<void> {
  await Promise.all(
    [...machines].map(async ([name, machine]) => {
      // What a machine said before its power was cut is not what it says now.
      await machine.console.waitFor(/edgekiln: slot [ab][\r\n]/, boots);
      await machine.console.waitFor(healthy, boots);
      shells.set(name, await logIn(machine));
    }),
  );
}

/** Waits until a machine has founded a cluster, and takes the keys of its first user from it. */
async function fetchKeys(): Promise<void> {
  const files = ['etc/rancher/k3s/k3s.yaml', 'var/lib/rancher/k3s/server/token'];
  const found = await until(
    'a founder',
    forms,
    () => Promise.all([...shells.values()].map((shell) => shell.run(`ls /${files.join(' /')} || true`))),
    (said) => said.some((one) => !one.includes('No such file')),
  );
  const founder = [...shells.values()][found.findIndex((one) => !one.includes('No such file'))];
  if (founder === undefined) throw new Error('no founder');
  for (const file of files) {
    mkdirSync(dirname(join(keysFolder(), file)), { recursive: true });
    writeFileSync(join(keysFolder(), file), await fetchFile(founder, `/${file}`));
  }
}

/** A file of a machine. What the agent says on the same console meanwhile may fall into it: then it is asked again. */
function fetchFile(shell: Shell, path: string): Promise<Buffer> {
  return until(
    path,
    60,
    async () => {
      const said = await shell.run(`base64 -w0 ${path}; echo; sha256sum ${path}`);
      const bytes = Buffer.from(/^[A-Za-z0-9+/=]{40,}$/m.exec(said)?.[0] ?? '', 'base64');
      return said.includes(createHash('sha256').update(bytes).digest('hex')) ? bytes : Buffer.alloc(0);
    },
    ({ length }) => length > 0,
  );
}

/** Waits until every machine's clock says within a minute what this one's says; a page it serves has the time it was made. */
async function untilInTime(): Promise<void> {
  await until(
    'clocks that are right',
    120,
    () =>
      Promise.all(
        all.map(async (name) => {
          const { headers } = await fetch(`http://127.0.0.1:${lab.forwards(name).status}/status.json`);
          return Math.round((Date.parse(headers.get('date') ?? '') - Date.now()) / 1000);
        }),
      ),
    (ahead) => ahead.every((seconds) => Math.abs(seconds) < 60),
  );
}

it('three machines form one cluster with three servers', { timeout }, async () => {
  for (const name of names) {
    const machine = await lab.add({
      name: `forms-${name}`,
      board: 'qemu-x86_64',
      image: site.image(`forms-${name}`),
      memory: 1024,
      cpus: 1,
      survival: 0.5,
      ...(name === timeless ? { clock: '1970-01-01T00:00:00' } : {}),
    });
    machines.set(machine.name, machine);
  }
  await arrive();
  await fetchKeys();
  formed = await untilCluster(hosts, all, whole, forms);
});

it('a joiner without a clock has the time of the cluster', { timeout }, untilInTime);

it('all powered off at once, they come back as the same cluster', { timeout }, async () => {
  // Something is always being written: here past the cache of the kernel, and into that of the disk.
  const noise = 'dd if=/dev/zero of=/var/lib/edgekiln/noise bs=64k count=32 oflag=direct';
  await Promise.all([...shells.values()].map((shell) => shell.run(noise)));
  const lost = await Promise.all([...machines.values()].map((machine) => machine.powerCut()));
  console.log(`not flushed at the cut: ${JSON.stringify(lost)}`);
  await sleep(1000);
  for (const machine of machines.values()) await machine.powerOn();
  await arrive();
  const back = await untilCluster(hosts, all, whole, forms);
  expect([back.cluster, back.uids]).toEqual([formed.cluster, formed.uids]);
  await untilInTime();
});
