// Sockets, site0 and formation on a real kernel: hosts are network namespaces on a bridge. Needs root.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { place, writeRoster } from '../../formats/roster.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-lan-'));
const program = join(folder, 'host.mjs');
const net = `ek${process.pid}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (host: string, ...args: string[]): string => ip('netns', 'exec', `${net}${host}`, ...args);

interface Words {
  readonly phase: string;
  readonly cluster: { id: string; founder: string; decided: boolean } | null;
  readonly seen: readonly string[];
  readonly serverHeard: boolean;
  readonly site0: string | null;
  readonly conflict: string | null;
  readonly addresses: readonly (readonly string[])[];
}

class Host {
  readonly name: string;
  readonly #facts: string;
  #child: ChildProcess | undefined;
  #words: Words | undefined;

  constructor(name: string, facts: unknown) {
    this.name = name;
    this.#facts = join(folder, `${name}.json`);
    writeFileSync(this.#facts, JSON.stringify(facts));
    mkdirSync(join(folder, name), { recursive: true });
  }

  start(): void {
    const args = [
      'netns',
      'exec',
      `${net}${this.name}`,
      process.execPath,
      program,
      this.#facts,
      join(folder, this.name),
    ];
    const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((one) => one.startsWith('{'))) this.#words = JSON.parse(line);
    });
    this.#child = child;
  }

  says = (): Words | undefined => this.#words;

  stop(): void {
    this.#child?.kill('SIGKILL');
    this.#words = undefined;
  }

  forget(): void {
    this.stop();
    rmSync(join(folder, this.name), { recursive: true, force: true, maxRetries: 3 });
  }
}

const hosts: Host[] = [];

function plug(name: string): void {
  ip('netns', 'add', `${net}${name}`);
  inside(name, 'ip', 'link', 'set', 'lo', 'up');
  cable(name, `${net}-${name}`, 'eth0');
}

/** A cable from an interface of a host to a port of the switch. */
function cable(name: string, port: string, eth: string): void {
  ip('link', 'add', port, 'type', 'veth', 'peer', 'name', eth, 'netns', `${net}${name}`);
  ip('link', 'set', port, 'netns', `${net}sw`);
  inside('sw', 'ip', 'link', 'set', port, 'master', 'br0', 'up');
  inside(name, 'ip', 'link', 'set', eth, 'up');
}

/** Hosts of one site, plugged in and not started. Keys are new each time. */
function site(
  name: string,
  count: number,
  prefix: string,
  { subnet = '198.18.7.0/24', mode = 'macvlan' } = {},
): Host[] {
  const siteKeys = generateKeyPairSync('ed25519');
  const devices = Array.from({ length: count }, (_, index) => ({
    index: index + 1,
    name: `${prefix}${index + 1}`,
    key: generateKeyPairSync('ed25519').privateKey,
  }));
  const part = (key: KeyObject, which: 'x' | 'd'): Buffer =>
    Buffer.from(key.export({ format: 'jwk' })[which] ?? '', 'base64url');
  const text = writeRoster(
    {
      site: name,
      epoch: 1,
      previous: null,
      enrolment: 'stamped',
      policy: 'first-online',
      onFounderLoss: 'alarm',
      subnet,
      denied: [],
      places: devices.map((device) => ({
        place: place(device.index),
        name: device.name,
        key: part(device.key, 'x').toString('hex'),
        server: true,
        class: 4,
        domain: device.name,
        elector: true,
      })),
    },
    siteKeys.privateKey,
  );
  const siteKey = siteKeys.publicKey.export({ type: 'spki', format: 'pem' });
  const made = devices.map((device) => {
    plug(device.name);
    const stamp = {
      site: name,
      hostname: device.name,
      place: device.index,
      deviceKey: part(device.key, 'd').toString('base64'),
      roster: Buffer.from(text).toString('utf8'),
    };
    return new Host(device.name, { stamp, siteKey, mode });
  });
  hosts.push(...made);
  return made;
}

const all = async (
  list: readonly Host[],
  wanted: (words: Words) => boolean,
  /** Of a machine at rest, in milliseconds. */
  quick: number,
): Promise<void> => {
  await expect
    .poll(() => list.filter((host) => wanted(host.says() ?? ({} as Words))).length, {
      timeout: 3 * quick,
      interval: 250,
    })
    .toBe(list.length);
};
const inOneCluster = ({ phase, cluster }: Words): boolean =>
  (phase === 'serving' || phase === 'member') && cluster?.decided === true;

describe.skipIf(process.getuid?.() !== 0)('hosts on a LAN', () => {
  beforeAll(async () => {
    await build({
      entryPoints: [fileURLToPath(new URL('./lan-host.ts', import.meta.url))],
      outfile: program,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      banner: {
        js: "import { createRequire as kilnRequire } from 'node:module';\nconst require = kilnRequire(import.meta.url);",
      },
    });
    return () => rmSync(folder, { recursive: true });
  });

  function lan(): void {
    ip('netns', 'add', `${net}sw`);
    inside('sw', 'ip', 'link', 'add', 'br0', 'type', 'bridge');
    inside('sw', 'ip', 'link', 'set', 'br0', 'up');
  }

  afterEach(() => {
    for (const host of hosts.splice(0)) host.forget();
    for (const line of ip('netns', 'list').split('\n')) {
      const [name = ''] = line.split(' ');
      if (name.startsWith(net)) ip('netns', 'delete', name);
    }
  });

  test('without any IPv4 address three form one cluster and reach each other on site0', async () => {
    lan();
    const three = site('shop', 3, 'a');
    for (const host of three) host.start();
    await all(three, inOneCluster, 60_000);
    expect(new Set(three.map((host) => host.says()?.cluster?.id)).size).toBe(1);
    expect(three.filter((host) => host.says()?.phase === 'serving')).toHaveLength(1);
    await all(three, ({ site0 }) => site0 === 'site0', 20_000);
    inside('a1', 'busybox', 'ping', '-c', '1', '-W', '2', '198.18.7.3');
    // Only the macvlan answers for its address, never its parent with its own MAC.
    const mac = inside('a3', 'cat', '/sys/class/net/site0/address').trim();
    expect(inside('a1', 'ip', 'neigh', 'show', '198.18.7.3')).toContain(mac);

    // The record and the address outlive the agent: the same cluster, the same MAC.
    const id = three[0]?.says()?.cluster?.id;
    for (const host of three) host.stop();
    for (const host of three) host.start();
    await all(three, (words) => words.cluster?.id === id && words.site0 === 'site0', 30_000);
    expect(inside('a3', 'cat', '/sys/class/net/site0/address').trim()).toBe(mac);
  });

  test('where broadcast is blocked after forming, the server is still heard', async () => {
    lan();
    const three = site('shop', 3, 'b');
    for (const host of three) host.start();
    await all(three, inOneCluster, 60_000);
    await all(three, ({ addresses }) => addresses.filter((list) => list.length > 0).length >= 2, 20_000);
    for (const { name } of three)
      inside(
        'sw',
        'bridge',
        'link',
        'set',
        'dev',
        `${net}-${name}`,
        'bcast_flood',
        'off',
        'mcast_flood',
        'off',
      );
    // Longer than three beacons: without speaking to each other directly they would have lost the server.
    await new Promise((resolve) => setTimeout(resolve, 125_000));
    await all(three, ({ serverHeard }) => serverHeard, 30_000);
  });

  test('addresses come, change and go; a foreign site and a flood do not matter', async () => {
    lan();
    const three = site('shop', 3, 'c');
    const others = site('other', 2, 'f', { subnet: '198.18.8.0/24' });
    inside('c1', 'ip', 'addr', 'add', '10.0.0.1/24', 'dev', 'eth0');
    for (const host of [...three, ...others]) host.start();
    const flood = spawn('ip', [
      ...['netns', 'exec', `${net}f1`, process.execPath, '-e'],
      `const s = require('dgram').createSocket('udp6'); const b = Buffer.alloc(300, 7);
       setInterval(() => { for (let i = 0; i < 100; i += 1) s.send(b, 5747, 'ff02::1%eth0', () => {}); }, 10);`,
    ]);
    try {
      inside('c1', 'ip', 'addr', 'delete', '10.0.0.1/24', 'dev', 'eth0');
      inside('c1', 'ip', 'addr', 'add', '10.0.0.9/24', 'dev', 'eth0');
      await all([...three, ...others], inOneCluster, 90_000);
      expect(new Set(three.map((host) => host.says()?.cluster?.id)).size).toBe(1);
      expect(new Set(others.map((host) => host.says()?.cluster?.id)).size).toBe(1);
    } finally {
      flood.kill('SIGKILL');
    }
    inside('c2', 'ip', 'addr', 'add', '10.0.0.2/24', 'dev', 'eth0');
    // The question of a plain resolver for c1.local; the address is the one it has now.
    const ask = `const s = require('dgram').createSocket('udp4'); s.on('message', (b) => { console.log(b.subarray(-4).join('.')); s.close(); });
      s.bind(0, '10.0.0.2', () => { s.setMulticastInterface('10.0.0.2');
        const ask = () => s.send(Buffer.from('12340000000100000000000002633105' + '6c6f63616c0000010001', 'hex'), 5353, '224.0.0.251');
        ask(); setInterval(ask, 1000).unref(); });
      setTimeout(() => process.exit(1), 20_000).unref();`;
    expect(inside('c2', process.execPath, '-e', ask)).toBe('10.0.0.9\n');
    inside('c2', 'ip', 'link', 'set', 'eth0', 'down');
    inside('c2', 'ip', 'link', 'set', 'eth0', 'up');
    await all(three, ({ serverHeard }) => serverHeard, 60_000);
  });

  test.each([
    ['macvlan', 'g'],
    ['address', 'h'],
  ])('with two interfaces on the LAN site0 goes where the cable is: %s', async (mode, prefix) => {
    lan();
    const two = site('shop', 2, prefix, { mode });
    const [one, other] = [`${prefix}1`, `${prefix}2`];
    cable(one, `${net}-${one}b`, 'eth1');
    for (const host of two) host.start();
    await all(two, inOneCluster, 60_000);
    // An end of a cable shows what it leads to behind its name.
    const on = (eth: string): string => (mode === 'macvlan' ? ` site0@${eth}:` : ` ${eth}@`);
    const carrier = (): string => inside(one, 'ip', '-o', '-4', 'address', 'show', 'to', '198.18.7.1');
    const shown = (): string => inside(one, 'ip', '-o', 'link', 'show', carrier().split(/\s+/)[1] ?? 'none');
    await all(two, ({ site0 }) => site0 !== null, 20_000);
    expect(shown()).toContain(on('eth0'));
    const reached = (): string =>
      inside(
        other,
        'sh',
        '-c',
        'busybox ping -c 1 -W 1 198.18.7.1 >/dev/null && echo reached || echo silent',
      );
    for (const [cut, left] of [
      [`${net}-${one}`, 'eth1'],
      [`${net}-${one}b`, 'eth0'],
    ] as const) {
      inside('sw', 'ip', 'link', 'set', cut, 'down');
      await expect
        .poll(() => `${shown()}${reached()}`, { timeout: 60_000, interval: 1000 })
        .toMatch(new RegExp(`${on(left)}[^]*reached`));
      inside('sw', 'ip', 'link', 'set', cut, 'up');
    }
    await all(two, ({ serverHeard }) => serverHeard, 30_000);
  });

  test('an address that another device has is not taken, and said', async () => {
    lan();
    const [one] = site('shop', 1, 'd');
    plug('e1');
    inside('e1', 'ip', 'addr', 'add', '198.18.7.1/24', 'dev', 'eth0');
    one?.start();
    await expect
      .poll(() => one?.says()?.conflict, { timeout: 60_000 })
      .toContain('another device on this LAN has the address 198.18.7.1');
    expect(one?.says()?.site0).toBeNull();
    inside('e1', 'ip', 'addr', 'flush', 'dev', 'eth0');
    await expect.poll(() => one?.says()?.site0, { timeout: 135_000 }).toBe('site0');
    expect(one?.says()?.conflict).toBeNull();
  });
});
