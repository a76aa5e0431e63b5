// A new slot B that is broken, tried with A good: each way of being broken ends in A, by itself.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { BootState } from '../../formats/bootstate.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
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
import { healthy, logIn, makeSite, type Shell, type TestSite } from './site.ts';

/** The host may have other work: emulated machines take several times longer then. */
const slow = 300_000;

const init = '/usr/lib/systemd/systemd';
const agent = '/usr/lib/edgekiln/edgekiln-node.mjs';

let site: TestSite;
let lab: Lab;
let machine: Machine | undefined;
let machines = 0;

beforeAll(async () => {
  site = makeSite('fallback');
  lab = await openLab({ site: 'fallback', directory: join(site.folder, 'lab') });
});
afterEach(() => machine?.stop());
afterAll(async () => {
  await lab?.stop();
  rmSync(site.folder, { recursive: true });
});

/** A machine that tries slot B next: a copy of A, with some files replaced. */
async function trial(
  left: number,
  files: Readonly<Record<string, string>>,
  settings?: string,
): Promise<{ machine: Machine; stamp: Stamp }> {
  // Each case has an image of its own, as built.
  site.edgekiln('build', site.profile);
  const image = site.image('fallback-one');
  rmSync(site.image('fallback-two'));
  const stamp = await inImage(image, (content) => stampOf(content, site));
  const state: BootState = { seq: 3, primary: 'b', a: 'good', b: 'trial', left };
  await inImage(image, (content) => {
    copySlot(content, stamp);
    writeState(content, stamp, state);
  });
  for (const [path, text] of Object.entries(files)) replaceInB(image, stamp, path, text);
  if (settings !== undefined) setArguments(image, settings);
  machines += 1;
  machine = await lab.add({ name: `n${machines}`, board: 'qemu-x86_64', image, survival: 0 });
  return { machine, stamp };
}

/** Waits for a slot to be chosen by the boot script. */
const slotOf = async (one: Machine, timeout = slow) =>
  (await one.console.waitFor(/edgekiln: slot ([ab])[\r\n]/, timeout))[1];

/** Slot A runs with a healthy agent, and B is marked bad for good. */
async function expectA(one: Machine, stamp: Stamp): Promise<Shell> {
  const [, , , , slot] = await one.console.waitFor(healthy, slow);
  expect(slot).toBe('A');
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'a', a: 'good', b: 'bad' });
  const shell = await logIn(one);
  expect(await shell.run('edgekiln-node slots', slow)).toMatch(/slot a +good, runs, boots next/);
  return shell;
}

it('a kernel that panics: three attempts, then A', async () => {
  const crash = '#!/bin/sh\necho now it panics >/dev/console\necho c >/proc/sysrq-trigger\n';
  const { machine: one, stamp } = await trial(3, { [init]: crash });
  for (const left of [2, 1, 0]) {
    expect(await slotOf(one)).toBe('b');
    await one.console.waitFor(/now it panics/, slow);
    await one.console.waitFor(/Kernel panic - not syncing/, slow);
    expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', b: 'trial', left });
  }
  expect(await slotOf(one)).toBe('a');
  await expectA(one, stamp);
}, 1_200_000);

it('an init that hangs: the watchdog that the initrd armed resets it', async () => {
  const hang = '#!/bin/sh\necho now it hangs >/dev/console\nexec sleep 100000\n';
  const { machine: one, stamp } = await trial(1, { [init]: hang });
  expect(await slotOf(one)).toBe('b');
  await one.console.waitFor(/now it hangs/, slow);
  const began = Date.now();
  expect(await slotOf(one)).toBe('a');
  // 120 seconds since the initrd fed it last; nothing else ends a sleep.
  expect(Date.now() - began).toBeGreaterThan(60_000);
  const shell = await expectA(one, stamp);
  expect(await shell.run('wdctl | grep -E "Identity|Timeout:"')).toMatch(/i6300ESB[\s\S]*15 seconds/);
}, 1_200_000);

it('a systemd that hangs: the watchdog that it took over resets it', async () => {
  // A trial's agent is healthy, but not for the minute that would confirm it.
  const { machine: one, stamp } = await trial(1, {});
  expect(await slotOf(one)).toBe('b');
  const [, , , , slot] = await one.console.waitFor(healthy, slow);
  expect(slot).toBe('B');
  const shell = await logIn(one);
  // The kernel shields PID 1 from signals; frozen, it is as still as a hung one.
  await shell.run('echo frozen >/dev/console; echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze');
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', b: 'trial', left: 0 });
  expect(await slotOf(one)).toBe('a');
  await expectA(one, stamp);
}, 1_200_000);

it('an agent that never gets healthy: the deadman, outside of it, restarts the device', async () => {
  const broken = "process.stderr.write('no good\\n');\nprocess.exit(1);\n";
  const { machine: one, stamp } = await trial(1, { [agent]: broken }, 'edgekiln.deadman=60');
  expect(await slotOf(one)).toBe('b');
  await one.console.waitFor(/login: /, slow);
  expect(await slotOf(one)).toBe('a');
  const shell = await expectA(one, stamp);
  // The deadman is for trials only.
  expect(await shell.run('systemctl is-active edgekiln-deadman.timer || true')).toBe('inactive');
}, 1_200_000);

it('a kernel that cannot be loaded: A at once', async () => {
  const { machine: one, stamp } = await trial(3, { '/boot/vmlinuz': 'no kernel' });
  expect(await slotOf(one)).toBe('b');
  expect(await slotOf(one, 60_000)).toBe('a');
  await one.console.waitFor(healthy, slow);
  // The attempt is counted, the trial is not over.
  expect(readState(contentOf(one), stamp)).toMatchObject({ primary: 'b', a: 'good', b: 'trial', left: 2 });
}, 600_000);
