// A new slot B that is broken, tried with A good: each way of being broken ends in A, by itself.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, type TestContext, vi } from 'vitest';
import type { BootState } from '../../formats/bootstate.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { openLab } from '../../lab/keeper/lab.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import {
  contentOf,
  copySlot,
  inImage,
  readState,
  replaceInB,
  setArguments,
  stampOf,
  writeState,
} from './medium.ts';
import { alone, healthy, logIn, makeSite, type Shell, statusOf, type TestSite } from './site.ts';

/** The host may have other work: emulated machines take several times longer then. */
const slow = 600_000;
// They wait more than they work.
vi.setConfig({ maxConcurrency: 4 });

const init = '/usr/lib/systemd/systemd';
const agent = '/usr/lib/edgekiln/edgekiln-node.mjs';

let site: TestSite;
let stamp: Stamp;
let image: string;

beforeAll(async () => {
  site = makeSite('fallback', alone);
  site.edgekiln('build', site.profile);
  image = site.image('fallback-one');
  stamp = await inImage(image, (content) => stampOf(content, site));
  await inImage(image, (content) => copySlot(content, stamp));
});
afterAll(() => rmSync(site.folder, { recursive: true }));

/** A machine that tries slot B next: a copy of A, with some files replaced. */
async function trial(
  { onTestFinished }: TestContext,
  name: string,
  left: number,
  files: Readonly<Record<string, string>>,
  settings?: string,
): Promise<Machine> {
  const own = join(site.folder, `${name}.img`);
  execFileSync('cp', ['--sparse=always', image, own]);
  const state: BootState = { seq: 3, primary: 'b', a: 'good', b: 'trial', left };
  await inImage(own, (content) => writeState(content, stamp, state));
  for (const [path, text] of Object.entries(files)) replaceInB(own, stamp, path, text);
  if (settings !== undefined) setArguments(own, settings);
  // A LAN of its own: the others carry the same stamp.
  const lab = await openLab({ site: 'fallback', directory: join(site.folder, 'lab') });
  onTestFinished(() => lab.stop());
  return lab.add({ name, board: 'qemu-x86_64', image: own, cpus: 1, survival: 0 });
}

/** Waits for a slot to be chosen by the boot script. */
const slotOf = async (one: Machine) => (await one.console.waitFor(/edgekiln: slot ([ab])[\r\n]/, slow))[1];

/** Slot A runs with a healthy agent, and B is marked bad for good. */
async function expectA(one: Machine): Promise<Shell> {
  const [, , , , slot] = await one.console.waitFor(healthy, slow);
  expect(slot).toBe('A');
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'a', a: 'good', b: 'bad' });
  const shell = await logIn(one);
  expect(await shell.run('edgekiln-node slots', slow)).toMatch(
    /slot a +good, runs, boots next.*\nslot b +bad/,
  );
  expect(await statusOf(shell)).toMatchObject({ slot: { current: 'a', a: 'good', b: 'bad' } });
  return shell;
}

it.concurrent('a kernel that panics: three attempts, then A', async (context) => {
  const crash = '#!/bin/sh\necho now it panics >/dev/console\necho c >/proc/sysrq-trigger\n';
  const one = await trial(context, 'panics', 3, { [init]: crash });
  for (const left of [2, 1, 0]) {
    expect(await slotOf(one)).toBe('b');
    await one.console.waitFor(/now it panics/, slow);
    await one.console.waitFor(/Kernel panic - not syncing/, slow);
    expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', b: 'trial', left });
  }
  expect(await slotOf(one)).toBe('a');
  await expectA(one);
}, 1_800_000);

it.concurrent('an init that hangs: the watchdog that the initrd armed resets it', async (context) => {
  const hang = '#!/bin/sh\necho now it hangs >/dev/console\nexec sleep 100000\n';
  const one = await trial(context, 'hangs', 1, { [init]: hang });
  expect(await slotOf(one)).toBe('b');
  await one.console.waitFor(/now it hangs/, slow);
  const began = Date.now();
  expect(await slotOf(one)).toBe('a');
  // 120 seconds since the initrd fed it last; nothing else ends a sleep.
  expect(Date.now() - began).toBeGreaterThan(60_000);
  const shell = await expectA(one);
  expect(await shell.run('wdctl | grep -E "Identity|Timeout:"')).toMatch(/i6300ESB[\s\S]*60 seconds/);
}, 1_800_000);

it.concurrent('a systemd that hangs: the watchdog that it took over resets it', async (context) => {
  // The agent is healthy, but not for as long as would confirm the trial.
  const one = await trial(context, 'frozen', 1, {}, 'edgekiln.confirm=3600');
  expect(await slotOf(one)).toBe('b');
  const [, , , , slot] = await one.console.waitFor(healthy, slow);
  expect(slot).toBe('B');
  const shell = await logIn(one);
  // The kernel shields PID 1 from signals; frozen, it is as still as a hung one.
  await shell.run('echo frozen >/dev/console; echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze');
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', b: 'trial', left: 0 });
  expect(await slotOf(one)).toBe('a');
  const after = await expectA(one);
  // Its agent was there to remember the trial.
  expect((await statusOf(after))['problems']).toContainEqual(
    expect.stringMatching(
      /^slot B was on trial and none of its starts was confirmed: given up for slot A, seen/,
    ),
  );
}, 1_800_000);

it.concurrent('an agent that never gets healthy: the deadman, outside of it, restarts the device', async (context) => {
  const broken = "process.stderr.write('no good\\n');\nprocess.exit(1);\n";
  const one = await trial(context, 'sick', 1, { [agent]: broken }, 'edgekiln.deadman=60');
  expect(await slotOf(one)).toBe('b');
  // In order: a watchdog would not say this. On a busy machine the minute may be over before anybody could log in.
  await one.console.waitFor(/reboot: Restarting system/, slow);
  expect(await slotOf(one)).toBe('a');
  const shell = await expectA(one);
  // The deadman is for trials only.
  expect(await shell.run('systemctl is-active edgekiln-deadman.timer || true')).toBe('inactive');
}, 1_800_000);

it.concurrent('a kernel that cannot be loaded: A at once', async (context) => {
  const one = await trial(context, 'unloadable', 3, { '/boot/vmlinuz': 'no kernel' });
  expect(await slotOf(one)).toBe('b');
  expect(await slotOf(one)).toBe('a');
  await one.console.waitFor(healthy, slow);
  // The attempt is counted, the trial is not over.
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', a: 'good', b: 'trial', left: 2 });
}, 1_800_000);
