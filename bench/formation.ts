// How long three hosts need to become a cluster with three servers, beyond k3s driven by hand on the same machine, and
// what the agent costs at rest. Draws who did what when. The last line is JSON. Needs root; EDGEKILN_K3S for a real k3s.
// With `--hosts 64` instead: whether so many form.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { viewOf } from '../test/namespaces/cluster.ts';
import { type NamespaceSite, openSite, until } from '../test/namespaces/site.ts';
import { manyForm } from './many.ts';

const all = ['n1', 'n2', 'n3'];
/** Seconds over which the agent at rest is watched. */
const watched = Number(process.env['EDGEKILN_BENCH_SECONDS'] ?? 60);

const { hosts } = parseArgs({ options: { hosts: { type: 'string' } } }).values;
if (hosts === undefined) await threeForm();
else await manyForm(Number(hosts));

async function threeForm(): Promise<void> {
  const byHand = await handDriven();
  const { formed, atRest } = await agentDriven();
  console.log(`k3s by hand: ${byHand.toFixed(1)} s; with the agent: ${formed.toFixed(1)} s`);
  const times = { extra_s: round(formed - byHand), by_hand_s: round(byHand), agent_s: round(formed) };
  console.log(JSON.stringify({ ...times, ...atRest }));
}

/** Seconds from the start of the founder to three voters: the others join as soon as it answers, both at once. */
async function handDriven(): Promise<number> {
  const site = await openSite('benchhand', 3);
  try {
    // Hosts without an agent: what it would do is done from here.
    const [
      {
        flashed: { slot },
      },
    ] = firstOf(site.places);
    writeFileSync(join(slot, 'usr/lib/edgekiln/edgekiln-node.mjs'), 'setInterval(() => {}, 1e9);\n');
    await site.powerOn();
    for (const [index, name] of all.entries()) {
      await until(
        'the cable',
        20,
        () => site.run(name, 'cat /sys/class/net/eth0/operstate'),
        () => true,
      );
      await site.run(name, `ip address add 198.18.9.${index + 1}/24 dev eth0`);
    }
    const began = performance.now();
    await startByHand(site, 'n1', 1, { 'cluster-init': true });
    await until(
      'the founder',
      120,
      () => viewOf(site, 'n1'),
      ({ ready }) => ready.length === 1,
    );
    for (const [name, host] of [
      ['n2', 2],
      ['n3', 3],
    ] as const) {
      await startByHand(site, name, host, { server: 'https://198.18.9.1:6443' });
    }
    await until(
      'three voters',
      180,
      () => viewOf(site, 'n1'),
      ({ servers, ready }) => servers.length === 3 && ready.length === 3,
    );
    return (performance.now() - began) / 1000;
  } finally {
    await site.stop();
  }
}

async function startByHand(site: NamespaceSite, name: string, host: number, more: object): Promise<void> {
  const address = `198.18.9.${host}`;
  const config = {
    token: 'only-for-the-bench',
    'agent-token': 'another-for-the-bench',
    'node-name': name,
    'node-ip': address,
    'advertise-address': address,
    'flannel-iface': 'eth0',
    disable: ['traefik', 'servicelb', 'metrics-server', 'local-storage'],
    'disable-helm-controller': true,
    'disable-cloud-controller': true,
    'kubelet-arg': ['fail-cgroupv1=false', 'fail-swap-on=false'],
    'kube-proxy-arg': ['conntrack-max-per-core=0'],
    ...more,
  };
  await site.run(
    name,
    `mkdir -p /etc/rancher/k3s; echo '${JSON.stringify(config)}' >/etc/rancher/k3s/config.yaml; setsid k3s server >/dev/null 2>&1 </dev/null &`,
  );
}

/** Seconds from power-on to three servers, and what an agent costs afterwards. */
async function agentDriven() {
  const site = await openSite('benchagent', 3);
  try {
    const began = performance.now();
    const drawing: string[] = [];
    await site.powerOn();
    for (const name of all) watch(site, name, began, drawing);
    await until(
      'three servers',
      300,
      () => viewOf(site, 'n1'),
      ({ servers, ready }) => servers.length === 3 && ready.length === 3,
    );
    const formed = (performance.now() - began) / 1000;
    console.log(drawing.join('\n'));
    // A young cluster is looked at more often, for two minutes.
    await sleep(150_000);
    return { formed, atRest: await costs(site, 'n1') };
  } finally {
    await site.stop();
  }
}

/** Notes each line of a host's console with its second, in the host's own column. */
function watch(site: NamespaceSite, name: string, began: number, drawing: string[]): void {
  const stream = new PassThrough();
  const column = ' '.repeat(2 * all.indexOf(name));
  let rest = '';
  stream.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split(/\r?\n/);
    rest = lines.pop() ?? '';
    const second = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
    for (const line of lines)
      if (line !== '') drawing.push(`${second}  ${column}${name}  ${line.slice(0, 110)}`);
  });
  site.host(name).console.attach(stream);
}

/** The agent's private memory, its share of a core, and what beacons and channel send. */
async function costs(site: NamespaceSite, name: string) {
  const ports = ['-p udp --dport 5747', '-p tcp --dport 5748', '-p tcp --sport 5748'];
  for (const program of ['iptables', 'ip6tables']) {
    for (const port of ports) await site.run(name, `${program} -A OUTPUT ! -o lo ${port}`);
  }
  const pid = (
    await site.run(
      name,
      `for p in /proc/[0-9]*; do grep -qa '^node.*edgekiln-node.mjs.run' $p/cmdline 2>/dev/null && echo "\${p#/proc/}"; done; true`,
    )
  ).trim();
  const ticks = async () => {
    const fields = (await site.run(name, `cat /proc/${pid}/stat`)).split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = await ticks();
  await sleep(watched * 1000);
  const used = (await ticks()) - before;
  const rollup = await site.run(name, `cat /proc/${pid}/smaps_rollup`);
  const dirty = Number(/^Private_Dirty:\s+(\d+)/m.exec(rollup)?.[1]);
  const counted = await site.run(name, 'iptables -xvnL OUTPUT; ip6tables -xvnL OUTPUT');
  const bytes = [...counted.matchAll(/^\s*\d+\s+(\d+)\s.*574[78]/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  return {
    agent_private_mb: round(dirty / 1024),
    // A tick is 10 ms.
    agent_core_percent: round(used / watched),
    bytes_per_s: round(bytes / watched),
  };
}

function firstOf<Item>(items: readonly Item[]): [Item] {
  const [item] = items;
  if (item === undefined) throw new Error('there is none');
  return [item];
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
