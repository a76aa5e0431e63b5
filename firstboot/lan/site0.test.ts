import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Failure } from '../../formats/errors.ts';
import type { LanInterface } from './interfaces.ts';
import { Site0, type Site0Settings } from './site0.ts';

const address = '198.18.7.3';
const conflict = 'another device on this LAN has the address 198.18.7.3';

function link(name: string, carrier: boolean, ...addresses: string[]): LanInterface {
  return {
    name,
    carrier,
    addresses: addresses.map((one) => ({ address: one, family: 4, linkLocal: false })),
  };
}

/** A site0 on a made-up root. `taken` says how arping ends: 0 nobody, 1 somebody answers, 2 it cannot ask. */
function made(mode: Site0Settings['mode'], match = 'en* eth*') {
  const root = mkdtempSync(join(tmpdir(), 'edgekiln-site0-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const name of ['eth0', 'eth1', 'site0'])
    mkdirSync(join(root, 'proc/sys/net/ipv4/conf', name), { recursive: true });
  const done: string[] = [];
  const world = { arping: 0 };
  const site0 = new Site0({ mode, address, match, seed: 'a device' }, root, async (name, args) => {
    if (name === 'ip') return void done.push(args.join(' '));
    const tells = args.includes('-U');
    done.push(`arping ${tells ? '-U ' : ''}${args.at(args.indexOf('-I') + 1)}`);
    if (world.arping !== 0 && !tells)
      throw new Failure('environment', { what: 'busybox ended' }, { exitCode: world.arping });
  });
  const setting = (name: string, key: string) =>
    readFileSync(join(root, 'proc/sys/net/ipv4/conf', name, key), 'utf8');
  /** As the kernel shows it: on which interface the macvlan lies. */
  const lies = (on: number) => {
    for (const [name, file, text] of [
      ['site0', 'iflink', on],
      ['eth0', 'ifindex', 1],
      ['eth1', 'ifindex', 2],
    ] as const) {
      mkdirSync(join(root, 'sys/class/net', name), { recursive: true });
      writeFileSync(join(root, 'sys/class/net', name, file), `${text}\n`);
    }
  };
  return { site0, done, world, setting, lies };
}

test('address: it is laid on the LAN interface itself, which alone answers for it', async () => {
  const { site0, done, setting } = made('address');
  await site0.look([link('eth0', true, '192.168.1.20')], 0);
  const laid = [
    'link set eth0 up',
    'arping eth0',
    `address replace ${address}/24 dev eth0`,
    'arping -U eth0',
  ];
  expect(done).toEqual(laid);
  expect(site0.interface).toBe('eth0');
  expect([setting('eth0', 'arp_ignore'), setting('eth0', 'arp_announce')]).toEqual(['1', '2']);
  await site0.look([link('eth0', true, '192.168.1.20', address)], 5000);
  expect(done).toEqual(laid);
});

test('address: when the cable goes to the other interface, the address goes with it', async () => {
  const { site0, done } = made('address');
  await site0.look([link('eth0', true), link('eth1', false)], 0);
  // Both on one LAN, or each on its own: the first that has a link keeps it.
  await site0.look([link('eth0', true, address), link('eth1', true)], 5000);
  expect(site0.interface).toBe('eth0');
  done.length = 0;
  // Node shows no addresses of an interface without a link; the kernel keeps them.
  await site0.look([link('eth0', false), link('eth1', true)], 10_000);
  expect(done).toEqual([
    `address flush dev eth0 to ${address}/32`,
    'link set eth1 up',
    'arping eth1',
    `address replace ${address}/24 dev eth1`,
    'arping -U eth1',
  ]);
  expect(site0.interface).toBe('eth1');
});

test('macvlan: it moves to the interface that has a link, with its own address', async () => {
  const { site0, done, lies } = made('macvlan');
  await site0.look([link('eth0', true), link('eth1', true)], 0);
  const mac = /address (\S+) type macvlan/.exec(done[0] ?? '')?.[1];
  expect(done[0]).toBe(`link add link eth0 name site0 address ${mac} type macvlan mode bridge`);
  lies(1);
  await site0.look([link('eth0', true), link('eth1', true), link('site0', true, address)], 5000);
  done.length = 0;
  // The kernel leaves it its address, and takes its link.
  await site0.look([link('eth0', false), link('eth1', true), link('site0', false, address)], 10_000);
  expect(done.slice(0, 2)).toEqual([
    'link delete site0',
    `link add link eth1 name site0 address ${mac} type macvlan mode bridge`,
  ]);
  lies(2);
  done.length = 0;
  const now = [link('eth0', false), link('eth1', true), link('site0', true, address)];
  await site0.look(now, 15_000);
  await site0.look(now, 20_000);
  expect(done).toEqual([]);
});

test('only interfaces of the profile are taken', async () => {
  const { site0, done } = made('address', 'eth1');
  await site0.look([link('eth0', true)], 0);
  expect([done, site0.interface]).toEqual([[], undefined]);
  await site0.look([link('eth0', true), link('eth1', false)], 5000);
  expect(done).toContain('arping eth1');
});

test('somebody answers: not taken, an alarm, and asked again; in use here it is kept', async () => {
  const { site0, done, world } = made('address');
  world.arping = 1;
  await expect(site0.look([link('eth0', true)], 0)).rejects.toThrow(conflict);
  await expect(site0.look([link('eth0', true)], 5000)).rejects.toThrow(conflict);
  expect([done.filter((one) => one.startsWith('arping')).length, site0.interface]).toEqual([1, undefined]);
  world.arping = 0;
  await site0.look([link('eth0', true)], 30_000);
  expect(site0.interface).toBe('eth0');
  world.arping = 1;
  done.length = 0;
  await expect(site0.look([link('eth0', true, address)], 400_000)).rejects.toThrow(conflict);
  expect([done, site0.interface]).toEqual([['arping eth0'], 'eth0']);
});

test('a question that could not be asked is no conflict', async () => {
  const { site0, world } = made('address');
  world.arping = 2;
  await expect(site0.look([link('eth0', true)], 0)).rejects.toThrow('busybox ended');
  expect(site0.interface).toBeUndefined();
  world.arping = 0;
  await site0.look([link('eth0', true)], 5000);
  expect(site0.interface).toBe('eth0');
  // As the real one ends where there is no such interface; 1 would mean that somebody has the address.
  const asked = spawnSync('busybox', ['arping', '-D', '-q', '-c', '1', '-w', '1', '-I', 'none0', address]);
  expect(asked.status).toBe(2);
});
