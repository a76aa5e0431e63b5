// Two real machines on the lab's switch: what the agent needs from a LAN passes, faults do what they say, nothing stays behind.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderError } from '../../formats/errors.ts';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import { macOf } from '../../lab/qemu/arguments.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import { makeGuest } from './guest.ts';

const directory = mkdtempSync(join(tmpdir(), 'lab-test-'));
const guest = await makeGuest(join(directory, 'guest'));
const prompt = /guest# /;
/** Milliseconds. Emulated, beside others on the same cores. */
const [boots, answers] = [200_000, 60_000];

describe.skipIf(guest === undefined)('two machines on a switch', () => {
  let lab: Lab;
  let n1: Machine;
  let n2: Machine;

  beforeAll(async () => {
    const image = join(directory, 'empty.img');
    writeFileSync(image, '');
    truncateSync(image, 1024 * 1024);
    lab = await openLab({ site: 'test', directory: join(directory, 'lab') });
    const place = { board: 'qemu-x86_64', image, memory: 256, extra: guest } as const;
    [n1, n2] = await Promise.all([
      lab.add({ ...place, name: 'n1' }),
      lab.add({ ...place, name: 'n2', survival: 0 }),
    ]);
    await Promise.all([n1.console.waitFor(prompt, boots), n2.console.waitFor(prompt, boots)]);
  });

  afterAll(async () => {
    await lab?.stop();
    rmSync(directory, { recursive: true });
  });

  const type = async (machine: Machine, line: string, expected: RegExp): Promise<RegExpMatchArray> => {
    machine.console.send(`${line}\n`);
    const match = await machine.console.waitFor(expected, answers).catch((error) => {
      throw new Error(renderError(error));
    });
    await machine.console.waitFor(prompt, answers);
    return match;
  };

  it('carries UDP broadcasts both ways: a lease from one machine to the other', async () => {
    await type(n1, 'ip addr add 198.18.5.1/24 dev eth0; echo set', /^set/m);
    const lease = 'start 198.18.5.20\\nend 198.18.5.20\\ninterface eth0\\n';
    await type(
      n1,
      `printf '${lease}' > /c; touch /var/lib/misc/udhcpd.leases; udhcpd -S /c; echo set`,
      /^set/m,
    );
    await type(n2, 'udhcpc -i eth0 -q -n -s /bin/true', /lease of 198\.18\.5\.20 obtained/);
    await type(n2, 'ip addr add 198.18.5.20/24 dev eth0; ping -c 1 198.18.5.1', /1 packets received/);
  });

  it('carries IPv6 multicast: all nodes answer', async () => {
    const [, , , d, e, f] = macOf('test', 'n1').split(':');
    const linkLocal = new URL(`http://[fe80::5054:ff:fe${d}:${e}${f}]/`).hostname.slice(1, -1);
    // The first seconds belong to duplicate address detection: nothing may be sent from the address yet.
    await type(n2, 'until ping6 -c 1 -I eth0 ff02::1; do sleep 1; done', new RegExp(`from ${linkLocal}`));
  });

  it('cuts, slows and heals the way between them', async () => {
    lab.lan.setFault('n1', 'n2', { cut: true });
    await type(n2, 'ping -c 2 -W 1 198.18.5.1', /\b0 packets received/);
    lab.lan.setFault('n1', 'n2', { delay: 300 });
    const [, slow] = await type(n2, 'ping -c 1 198.18.5.1', /time=(\d+)/);
    expect(Number(slow)).toBeGreaterThanOrEqual(300);
    lab.lan.setFault('n1', 'n2', {});
    await type(
      n2,
      'until ping -c 1 -W 2 198.18.5.1 | grep "time=1\\?[0-9]\\?[0-9][.]"; do :; done',
      /time=\d+\.\d+ ms/,
    );
  });

  it('lets this host read a page of a machine, and gives machines no lease and no way out', async () => {
    await type(n1, 'echo hello from n1 > /www/index.html; httpd -h /www; echo set', /^set/m);
    const { status } = lab.forwards('n1');
    const answer = await fetch(`http://127.0.0.1:${status}/index.html`);
    expect(await answer.text()).toBe('hello from n1\n');
    await type(n1, 'killall udhcpd; echo set', /^set/m);
    await type(n2, 'udhcpc -i eth0 -q -n -t 2 -T 1 -s /bin/true', /no lease/);
    await type(n2, 'ip route add default via 198.18.5.254; ping -c 1 -W 2 192.0.2.1', /\b0 packets received/);
  });

  it('cuts the power and puts it back, and the disk has what was flushed but not the rest', async () => {
    await type(n2, 'printf flushed | dd of=/dev/vda conv=fsync; echo done', /^done/m);
    await type(
      n2,
      'printf %-512s unflushed | dd of=/dev/vda bs=512 seek=1 oflag=direct; echo done',
      /^done/m,
    );
    await type(n2, 'dd if=/dev/vda bs=512 skip=1 count=1 iflag=direct | head -c 9', /^unflushed/m);
    const before = n2.pid();
    expect(await n2.powerCut()).toEqual({ lost: 1, kept: 0, torn: 0 });
    expect(n2.pid()).toBeUndefined();
    expect(() => process.kill(before ?? 0, 0)).toThrow('ESRCH');
    await n2.powerOn();
    await n2.console.waitFor(prompt, boots);
    await type(n2, 'head -c 7 /dev/vda; echo', /^flushed/m);
    await type(n2, 'head -c 1024 /dev/vda | tail -c 512 | tr -d "\\0" | wc -c', /^0/m);
  });

  it('resets, powers down by itself, and speaks QMP', async () => {
    expect(await n2.qmp('query-status')).toMatchObject({ status: 'running' });
    await n2.reset();
    await n2.console.waitFor(prompt, boots);
    n2.console.send('poweroff -f\n');
    await n2.off();
    expect(n2.pid()).toBeUndefined();
  });
});
