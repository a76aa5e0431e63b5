// Data in every state it may be found in: where the device ends, what it says, and what it must not have touched.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, type TestContext, vi } from 'vitest';

import { openLab } from '../../lab/keeper/lab.ts';
import type { Place } from '../../lab/keeper/plan.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import { type DamagedDisk, damagedDisk, wrote } from './damage.ts';
import { cases, type Self } from './data-cases.ts';
import { alone, healthy, logIn, makeSite, type Shell, statusOf, type TestSite } from './site.ts';

const GiB = 1024 ** 3;
/** The host may be busy: a machine alone on it takes 15 s, beside load 18 it took longer than four minutes. */
const patience = 900_000;
// Cases wait more than they work: two machines at a time.
vi.setConfig({ testTimeout: 2_400_000, maxConcurrency: 2 });

let site: TestSite;
/** A disk of 4 GiB after one good boot and a clean shutdown. Every case starts from a copy of it. */
let lived: string;
let flash: string;
let first: Self;

async function selfOf(shell: Shell): Promise<Self> {
  const told = await shell.run(
    'cat /etc/machine-id; ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; cat /root/mine || echo nothing; ls /root/scratch | wc -l',
  );
  const [id = '', key = '', mine, scratch] = told
    .split('\n')
    .filter((line) => !line.startsWith('cat:') && !line.startsWith('ls:'));
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(key).toContain('ED25519');
  return { id, key, mine: mine ?? '', scratch: Number(scratch) };
}

/** A copy of the disk that has lived, damaged. */
function damaged(name: string, damage: (disk: DamagedDisk, flash: string) => void): DamagedDisk {
  const file = join(site.folder, `${name}.img`);
  execFileSync('cp', ['--sparse=always', lived, file]);
  const disk = damagedDisk(file);
  damage(disk, flash);
  return disk;
}

/** A machine on a LAN of its own: another with the same stamp would be a clone. */
async function start(
  { onTestFinished }: TestContext,
  name: string,
  image: string,
  more: Partial<Place> = {},
): Promise<Machine> {
  const lab = await openLab({ site: 'data', directory: join(site.folder, 'lab') });
  onTestFinished(() => lab.stop());
  return lab.add({ name, board: 'qemu-x86_64', image, cpus: 1, disk: 4 * GiB, ...more });
}

const overlayOf = (name: string) => join(site.folder, 'lab', name, 'disk.qcow2');

/** Ends a machine so that its disk's file tells all it wrote. */
async function finish(machine: Machine): Promise<void> {
  const off = machine.off();
  void machine.qmp('quit').catch(() => {});
  await off;
  await machine.stop();
}

beforeAll(() => {
  site = makeSite('data', alone);
  site.edgekiln('build', site.profile);
});
afterAll(() => rmSync(site.folder, { recursive: true }));

it('fresh: made over the whole disk', async (context) => {
  const machine = await start(context, 'first', site.image('data-one'));
  await machine.console.waitFor(/edgekiln: making data on vda4/, patience);
  await machine.console.waitFor(healthy, patience);
  const shell = await logIn(machine);
  const record = JSON.parse(await shell.run('cat /run/edgekiln/boot.json'));
  expect(record).toMatchObject({
    slot: 'a',
    disk: '/dev/vda',
    data: { state: 'created', detail: '' },
    problems: [],
  });
  expect(await statusOf(shell)).toMatchObject({
    healthy: true,
    phase: 'waiting',
    data: { state: 'created', usable: true },
  });
  flash = record.flash;
  await shell.run(
    'echo kept > /root/mine; mkdir /root/scratch; for i in $(seq 64); do echo $i > /root/scratch/$i; done; sync',
  );
  first = await selfOf(shell);
  expect(first).toMatchObject({ mine: 'kept', scratch: 64 });
  const off = machine.off();
  await shell.run('systemctl poweroff').catch(() => {});
  await off;
  await machine.stop();
  lived = join(site.folder, 'lived.img');
  execFileSync('qemu-img', ['convert', '-O', 'raw', overlayOf('first'), lived]);
  expect(damagedDisk(lived).onData('e2fsck', ['-fn', '@'])).toContain('edgekiln-data');
});

const held = new Set(['missing', 'full', 'corrupt', 'readonly', 'foreign']);

it.concurrent.for(cases)(
  '$name: data is $state',
  async ({ name, damage, place, state, detail, says, same, untouched, more }, context) => {
    const short = `case-${cases.findIndex((one) => one.name === name)}`;
    const disk = damaged(short, damage);
    // A damaged table does not say any more where they were.
    const whole = damagedDisk(lived);
    const never = untouched ? [whole.extent(2), whole.extent(4)] : [whole.extent(2)];
    const machine = await start(context, short, disk.file, place);
    await machine.console.waitFor(says, patience);
    await machine.console.waitFor(healthy, patience);
    const waits = /waits for a person to see to its data partition/;
    if (held.has(state)) await machine.console.waitFor(waits, patience);
    const shell = await logIn(machine);
    const record = JSON.parse(await shell.run('cat /run/edgekiln/boot.json'));
    expect(record).toMatchObject({ flash, slot: 'a', data: { state, detail }, problems: [] });
    const status = await statusOf(shell);
    expect(status).toMatchObject({
      healthy: true,
      name: 'data-one',
      phase: held.has(state) ? 'held' : 'waiting',
      data: { state, detail, usable: !held.has(state) },
    });
    if (held.has(state))
      expect(status['problems']).toContain(
        `data is ${state}: ${detail}; so it neither votes, founds nor joins`,
      );
    const self = await selfOf(shell);
    if (same) expect(self).toMatchObject({ id: first.id, key: first.key, mine: 'kept' });
    else {
      expect(self).toMatchObject({ mine: 'nothing', scratch: 0 });
      expect(self.id).not.toBe(first.id);
      expect(self.key).not.toBe(first.key);
    }
    await more?.(shell, self);
    await finish(machine);
    for (const extent of never) expect(wrote(overlayOf(short), extent)).toBe(false);
    rmSync(disk.file);
  },
);

it.concurrent('two disks of the same flash: it stops and names both', async (context) => {
  const twin = `driver=raw,node-name=twin,read-only=on,file.driver=file,file.filename=${site.image('data-one')}`;
  const machine = await start(context, 'twins', lived, {
    extra: ['-blockdev', twin, '-device', 'virtio-blk-pci,drive=twin'],
  });
  // Said again after 30 seconds: it stays where it is.
  for (const _ of [1, 2])
    await machine.console.waitFor(/edgekiln: two disks carry the same stamp: vda vdb\. Remove one/, patience);
  await finish(machine);
  for (const part of [2, 3, 4])
    expect(wrote(overlayOf('twins'), damagedDisk(lived).extent(part))).toBe(false);
});

it.concurrent('a slot that cannot be mounted: it says so and starts again', async (context) => {
  const disk = damaged('unmountable', (one) => {
    // More blocks than the partition has: the bootloader still reads its kernel, the kernel does not mount it.
    one.write(one.extent(2).start + 1024 + 4, Buffer.from([0, 0, 0, 0x40]));
  });
  const machine = await start(context, 'unmountable', disk.file);
  for (const _ of [1, 2]) {
    await machine.console.waitFor(/edgekiln: slot a cannot be mounted/, patience);
    await machine.console.waitFor(/edgekiln: starting again in 10 seconds/, patience);
  }
  await finish(machine);
  for (const part of [2, 3, 4]) expect(wrote(overlayOf('unmountable'), disk.extent(part))).toBe(false);
});
