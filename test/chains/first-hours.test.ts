// Every key of the first hours, on a device: one image with all of them, started once, and each is seen to act.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAgentConfig } from '../../formats/agentconfig.ts';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import { healthy, logIn, makeSite, type Shell, type TestSite } from './site.ts';

const keys = `base: {debian: {packages: [tree]}}
system: {timezone: Asia/Kathmandu, locale: de_DE.UTF-8}
lan:
  interface: en*
  static: {subnet: 192.168.77.0/24, gateway: 192.168.77.1}
  dns: [192.168.77.2, 192.168.77.3]
  ntp: [192.168.77.4]
  proxy: {http: 'http://192.168.77.5:3128', except: [.example.com]}
network: {podCidr: 10.52.0.0/16, serviceCidr: 10.53.0.0/16, siteSubnet: 198.18.77.0/24}
registries:
  mirrors: {docker.io: {endpoint: ['http://192.168.77.6:5000']}}
  configs: {'192.168.77.6:5000': {auth: {username: shop, password: not-for-everybody}}}
files:
  - {path: /etc/shop/till.conf, content: "drawer=1\\n", mode: '0640', owner: '0:1000'}
  - {path: /usr/local/bin/till, from: till.sh, mode: '0755'}
units:
  - name: till.service
    content: |
      [Service]
      Type=oneshot
      RemainAfterExit=yes
      ExecStart=/usr/local/bin/till
      [Install]
      WantedBy=multi-user.target
  - name: idle.service
    enable: false
    content: |
      [Service]
      ExecStart=/bin/false
persist: [{path: /srv/till, mode: '0750'}]
limits: {journal: 24MiB, containerLogs: {size: 1MiB, files: 2}, images: {high: 80, low: 70}}
`;

let site: TestSite;
let lab: Lab;
let shell: Shell;

beforeAll(async () => {
  site = makeSite('hours');
  const devices = `devices: [{name: one, address: 192.168.77.11}, {name: two, address: 192.168.77.12, labels: {example.com/role: till}, taints: ['till=yes:NoSchedule']}]`;
  const text = readFileSync(site.profile, 'utf8')
    .replace(/^devices: .*$/m, devices)
    .replace('{standIn: true}', '{standIn: true, config: {debug: true}}');
  writeFileSync(site.profile, `${text}${keys}`);
  writeFileSync(join(site.folder, 'till.sh'), '#!/bin/sh\necho open >/srv/till/drawer\n');
  site.edgekiln('build', site.profile);
  lab = await openLab({ site: 'hours', directory: join(site.folder, 'lab') });
  const image = site.image('hours-two');
  const machine = await lab.add({ name: 'two', board: 'qemu-x86_64', image, survival: 0 });
  await machine.console.waitFor(healthy, 240_000);
  shell = await logIn(machine);
});
afterAll(async () => {
  await lab?.stop();
  rmSync(site.folder, { recursive: true });
});

/** What a command says once it says something like this; a device is busy after its start. */
async function eventually(command: string, pattern: RegExp): Promise<string> {
  let said = '';
  for (let tries = 0; tries < 60; tries += 1) {
    said = await shell.run(command);
    if (pattern.test(said)) return said;
    await sleep(1000);
  }
  throw new Error(`${command} never said ${pattern}, but: ${said}`);
}

it('lan: the fixed address of this device and no other, and the way out', async () => {
  const said = await eventually('ip -c=never -4 -o addr', /192\.168\.77\./);
  expect(said).toContain('192.168.77.12/24');
  expect(said).not.toContain('192.168.77.11');
  expect(await eventually('ip -c=never -4 route', /default/)).toContain('default via 192.168.77.1 ');
});

it('lan: name servers and time servers', async () => {
  const lines = 'nameserver 192.168.77.2\nnameserver 192.168.77.3';
  expect(await eventually('cat /etc/resolv.conf', /nameserver/)).toBe(lines);
  const servers = await eventually('timedatectl show-timesync -P LinkNTPServers', /\d/);
  expect(servers).toBe('192.168.77.4');
});

it('lan: the proxy, for services and not for the cluster', async () => {
  const pid = 'systemctl show -P MainPID edgekiln.service';
  const environment = await shell.run(`tr '\\0' '\\n' </proc/$(${pid})/environ`);
  expect(environment).toContain('HTTP_PROXY=http://192.168.77.5:3128');
  expect(environment).toMatch(
    /^NO_PROXY=.*,10\.52\.0\.0\/16,10\.53\.0\.0\/16,198\.18\.77\.0\/24,.*,\.example\.com$/m,
  );
});

it('registries: for root alone, as k3s reads them', async () => {
  const file = '/etc/rancher/k3s/registries.yaml';
  expect(await shell.run(`stat -c '%a %u:%g' ${file}`)).toBe('600 0:0');
  expect(await shell.run(`cat ${file}`)).toContain('      - http://192.168.77.6:5000');
});

it('files: their content, mode and owner', async () => {
  const files = '/etc/shop/till.conf /usr/local/bin/till';
  expect(await shell.run(`stat -c '%a %u:%g' ${files}`)).toBe('640 0:1000\n755 0:0');
  expect(await shell.run('cat /etc/shop/till.conf')).toBe('drawer=1');
});

it('units: started where they are enabled; persist: what they write stays on data', async () => {
  expect(await shell.run('systemctl is-active till.service')).toBe('active');
  expect(await shell.run('systemctl is-enabled till.service idle.service || true')).toBe('enabled\nstatic');
  expect(await shell.run('systemctl is-active idle.service || true')).toBe('inactive');
  expect(await shell.run('cat /run/edgekiln/data/persist/srv/till/drawer; stat -c %a /srv/till')).toBe(
    'open\n750',
  );
  expect(await shell.run('systemctl --failed --no-legend --plain')).toBe('');
});

it('limits: the journal is capped', async () => {
  expect(await shell.run('journalctl -b -u systemd-journald --no-pager | cat')).toMatch(
    /System Journal .* max 24M/,
  );
});

it('packages, the time zone and the language', async () => {
  expect(await shell.run('tree --version')).toMatch(/^tree v/);
  expect(await shell.run('date +%z')).toBe('+0545');
  expect(await shell.run('cat /etc/locale.conf; LC_ALL=de_DE.UTF-8 date -d 2026-11-21 +%A')).toBe(
    'LANG=de_DE.UTF-8\nSamstag',
  );
});

it('what the agent is told: k3s, networks, nodes, limits', async () => {
  const config = parseAgentConfig(await shell.run('cat /etc/edgekiln/agent.json'));
  expect(config).toMatchObject({
    k3s: { standIn: true, config: { debug: true } },
    network: { podCidr: '10.52.0.0/16', serviceCidr: '10.53.0.0/16' },
    lan: { interface: 'en*' },
    nodes: { 'hours-two': { labels: { 'example.com/role': 'till' }, taints: ['till=yes:NoSchedule'] } },
    limits: { containerLogs: { size: 1024 ** 2, files: 2 }, images: { high: 80, low: 70 } },
  });
});
