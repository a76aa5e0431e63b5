// The two slots on a real GRUB and a real device: which one boots whatever the boot state, and how slot B is filled.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BootState,
  bootStateSize,
  decodeBootState,
  encodeBootState,
  type SlotName,
  type SlotState,
} from '../../formats/bootstate.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { type Lab, openLab } from '../../lab/keeper/lab.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import {
  type Copy,
  contentOf,
  copySlot,
  digestOfB,
  inImage,
  oneBefore,
  readState,
  setArguments,
  stampOf,
  writeCopies,
  writeState,
} from './medium.ts';
import { alone, healthy, logIn, makeSite, type Shell, statusOf, type TestSite } from './site.ts';

/** The host may have other work: emulated machines take several times longer then. */
const slow = 240_000;
const MiB = 1024 ** 2;

let site: TestSite;
let lab: Lab;

beforeAll(async () => {
  site = makeSite('slots', alone);
  site.edgekiln('build', site.profile);
  lab = await openLab({ site: 'slots', directory: join(site.folder, 'lab') });
});
afterAll(async () => {
  await lab?.stop();
  rmSync(site.folder, { recursive: true });
});

async function add(device: 'one' | 'two' | 'three', survival: number): Promise<[Machine, Stamp]> {
  const image = site.image(`slots-${device}`);
  const machine = await lab.add({ name: device, board: 'qemu-x86_64', image, survival });
  return [machine, await stampOf(contentOf(machine), site)];
}

const state = (seq: number, primary: SlotName, a: SlotState, b: SlotState, left: number): BootState => ({
  seq,
  primary,
  a,
  b,
  left,
});
const garbage = Buffer.alloc(bootStateSize, 0x2a);
/** A copy of which only the first, or the second, sector was written over an older one. */
function torn(written: 0 | 1, older: BootState, newer: BootState): Buffer {
  const [first, second] = written === 0 ? [newer, older] : [older, newer];
  return Buffer.concat([
    encodeBootState(first).subarray(0, 512),
    encodeBootState(second).subarray(512, bootStateSize),
  ]);
}

const older = state(4, 'a', 'good', 'bad', 9);
const newer = state(5, 'b', 'good', 'trial', 3);
const next = state(6, 'b', 'good', 'trial', 2);

/** What the script says when it loads this slot. B is empty on this disk: it cannot be loaded. */
const triesA = ['slot a'];
const triesBThenA = ['slot b', 'slot b cannot be loaded', 'slot a'];

describe('GRUB with a boot state', () => {
  let machine: Machine;
  let stamp: Stamp;

  beforeAll(async () => {
    [machine, stamp] = await add('one', 1);
    await machine.powerCut();
  });
  afterAll(() => machine?.stop());

  /** Starts the machine and gives what the script said up to the last of so many lines. */
  async function said(lines: number): Promise<string[]> {
    const found: string[] = [];
    while (found.length < lines) {
      const [, line = ''] = await machine.console.waitFor(
        /edgekiln: ((?:slot|no slot|neither|the boot state)[^\r\n]*)[\r\n]/,
        slow,
      );
      found.push(line);
    }
    return found;
  }

  it.each<[string, readonly [Copy, Copy], string[], BootState | undefined]>([
    ['as flashed: A, one attempt less', [older, oneBefore(older)], triesA, state(5, 'a', 'good', 'bad', 8)],
    ['the newer copy rules, the first', [newer, older], triesBThenA, next],
    ['or the second', [older, newer], triesBThenA, next],
    [
      'numbers go round',
      [state(9, 'a', 'good', 'bad', 9), state(0, 'b', 'good', 'trial', 3)],
      triesBThenA,
      state(1, 'b', 'good', 'trial', 2),
    ],
    [
      'the first copy torn behind its first sector',
      [torn(0, older, newer), older],
      triesA,
      state(5, 'a', 'good', 'bad', 8),
    ],
    [
      'the first copy torn before its first sector',
      [torn(1, older, newer), older],
      triesA,
      state(5, 'a', 'good', 'bad', 8),
    ],
    [
      'the second copy torn behind its first sector',
      [older, torn(0, older, newer)],
      triesA,
      state(5, 'a', 'good', 'bad', 8),
    ],
    [
      'the second copy torn before its first sector',
      [older, torn(1, older, newer)],
      triesA,
      state(5, 'a', 'good', 'bad', 8),
    ],
    ['the first copy garbage: it cannot be counted, and the trial waits', [garbage, newer], triesA, newer],
    ['the second copy zeros', [newer, Buffer.alloc(bootStateSize)], triesA, newer],
    ['garbage, and a good slot: it is booted uncounted', [older, garbage], triesA, older],
    ['both garbage: A', [garbage, garbage], ['the boot state is lost', ...triesA], undefined],
    [
      'both slots bad: each is tried, and nothing is written',
      [state(3, 'b', 'bad', 'bad', 2), oneBefore(state(3, 'b', 'bad', 'bad', 2))],
      triesBThenA,
      state(3, 'b', 'bad', 'bad', 2),
    ],
    [
      'a trial without attempts is bad',
      [state(3, 'b', 'good', 'trial', 0), oneBefore(state(3, 'b', 'good', 'trial', 0))],
      triesA,
      state(4, 'a', 'good', 'bad', 8),
    ],
    [
      'a good slot without attempts gives way to a good one, and stays good',
      [state(3, 'a', 'good', 'good', 0), oneBefore(state(3, 'a', 'good', 'good', 0))],
      triesBThenA,
      state(4, 'b', 'good', 'good', 8),
    ],
    [
      'but not to a bad one',
      [state(3, 'a', 'good', 'bad', 0), oneBefore(state(3, 'a', 'good', 'bad', 0))],
      triesA,
      state(3, 'a', 'good', 'bad', 0),
    ],
    [
      'nor to one on trial',
      [state(3, 'a', 'good', 'trial', 0), oneBefore(state(3, 'a', 'good', 'trial', 0))],
      triesA,
      state(3, 'a', 'good', 'trial', 0),
    ],
  ])('%s', async (_, copies, lines, after) => {
    writeCopies(contentOf(machine), stamp, copies);
    await machine.powerOn();
    expect(await said(lines.length)).toEqual(lines);
    expect(readState(contentOf(machine), stamp)).toEqual(after);
    await machine.powerCut();
  });

  it('both slots bad: the one that comes up is good from then on', async () => {
    const content = contentOf(machine);
    writeState(content, stamp, state(3, 'b', 'bad', 'bad', 2));
    await machine.powerOn();
    expect(await said(triesBThenA.length)).toEqual(triesBThenA);
    await machine.console.waitFor(healthy, slow);
    await expect
      .poll(() => readState(content, stamp), { timeout: slow, interval: 500 })
      .toEqual(state(4, 'a', 'good', 'bad', 9));
    const shell = await logIn(machine);
    expect(await statusOf(shell)).toMatchObject({ slot: { current: 'a', a: 'good', b: 'bad', left: 9 } });
    await machine.powerCut();
  }, 600_000);

  it('counts a trial down over resets, and goes back for good', async () => {
    const content = contentOf(machine);
    copySlot(content, stamp);
    writeState(content, stamp, state(7, 'b', 'good', 'trial', 3));
    await machine.powerOn();
    const seen: unknown[] = [];
    for (let boot = 0; boot < 5; boot += 1) {
      const [line] = await said(1);
      const { primary, b, left } = readState(content, stamp) ?? {};
      seen.push([line, primary, b, left]);
      await machine.reset();
    }
    expect(seen).toEqual([
      ['slot b', 'b', 'trial', 2],
      ['slot b', 'b', 'trial', 1],
      ['slot b', 'b', 'trial', 0],
      ['slot a', 'a', 'bad', 8],
      ['slot a', 'a', 'bad', 7],
    ]);
    await machine.powerCut();
  });

  it('a copy that is garbage is mended by the initrd, and the next boot is counted', async () => {
    const content = contentOf(machine);
    const good = state(5, 'a', 'good', 'bad', 4);
    writeCopies(content, stamp, [garbage, good]);
    await machine.powerOn();
    expect(await said(1)).toEqual(triesA);
    await machine.console.waitFor(/edgekiln: a damaged copy of the boot state is whole again/, slow);
    for (const { start } of stamp.disk.bootState)
      expect(decodeBootState(content.read(start, bootStateSize))).toEqual(good);
    await machine.reset();
    expect(await said(1)).toEqual(triesA);
    expect(readState(content, stamp)).toEqual(state(6, 'a', 'good', 'bad', 3));
    await machine.powerCut();
  });

  it('leaves a good slot after nine boots that never reached the agent', async () => {
    const content = contentOf(machine);
    writeState(content, stamp, state(7, 'a', 'good', 'good', 9));
    await machine.powerOn();
    const seen: unknown[] = [];
    for (let boot = 0; boot < 10; boot += 1) {
      seen.push(...(await said(1)));
      if (boot < 9) await machine.reset();
    }
    expect(seen).toEqual([...Array.from({ length: 9 }, () => 'slot a'), 'slot b']);
    expect(readState(content, stamp)).toEqual(state(7, 'b', 'good', 'good', 8));
    await machine.powerCut();
  });

  it('starts A where the files of the boot state are missing', async () => {
    const image = site.image('slots-two');
    execFileSync('mdel', ['-i', `${image}@@${4 * MiB}`, '::EFI/edgekiln/s0.env', '::EFI/edgekiln/s1.env']);
    [machine] = await add('two', 1);
    expect(await said(2)).toEqual(['the boot state is lost', 'slot a']);
    await machine.console.waitFor(healthy, slow);
  }, 600_000);
});

describe('slot B on a device', () => {
  let machine: Machine;
  let stamp: Stamp;
  let shell: Shell;
  afterAll(() => machine?.stop());

  /** Bytes of the filling that are done; all of them when B is good. */
  async function filled(): Promise<number> {
    const text = await shell.run('edgekiln-node slots', slow);
    if (/^slot b +good/m.test(text)) return Number.POSITIVE_INFINITY;
    return Number(/being filled: (\d+) of/.exec(text)?.[1] ?? 0);
  }
  async function until(bytes: number): Promise<void> {
    for (const end = Date.now() + 500_000; (await filled()) < bytes; await sleep(500)) {
      if (Date.now() > end)
        throw new Error(`never filled so far: ${await shell.run('edgekiln-node status')}`);
    }
  }
  const systemOf = async () =>
    shell.run('cat /usr/lib/edgekiln/image.json /etc/machine-id; uname -r; systemctl --failed --no-legend');

  it('is filled when the time has come, and a power cut in the middle does no harm', async () => {
    const image = site.image('slots-three');
    const begun = await inImage(image, (content) => stampOf(content, site));
    const { start: startA } = begun.disk.slots.a;
    const { start: startB } = begun.disk.slots.b;
    // To be quick it looks as if an earlier filling had come far. One byte of it rotted since.
    const last = begun.slot.mapped[0]?.[1] ?? 0;
    const far = last - 48 * MiB;
    await inImage(image, (content) => {
      copySlot(content, begun, far);
      content.write(startB + 5 * MiB, Buffer.from([content.read(startB + 5 * MiB, 1).readUInt8() ^ 1]));
    });
    setArguments(image, 'edgekiln.fill=20');
    [machine, stamp] = await add('three', 0.5);
    await machine.console.waitFor(healthy, slow);
    shell = await logIn(machine);
    await until(far + 8 * MiB);
    const filler = "$(grep -lz '^fill$' /proc/[0-9]*/cmdline | head -n 1 | cut -d / -f 3)";
    const priorities = `p=${filler}; ionice -p $p; cut -d ' ' -f 19 /proc/$p/stat`;
    expect(await shell.run(priorities, slow)).toMatch(/^idle\s+19$/);
    await machine.powerCut();
    const content = contentOf(machine);
    expect(readState(content, stamp)).toMatchObject({ primary: 'a', a: 'good', b: 'bad' });
    const [theirs, ours] = [startA, startB].map((start) => content.read(start + far, 4 * MiB));
    expect(ours?.equals(theirs ?? Buffer.alloc(0))).toBe(true);
    await machine.powerOn();
    await machine.console.waitFor(healthy, slow);
  }, 900_000);

  it('is good once it reads back with the digest of A as flashed', async () => {
    shell = await logIn(machine);
    await until(Number.POSITIVE_INFINITY);
    const content = contentOf(machine);
    expect(readState(content, stamp)).toMatchObject({ primary: 'a', a: 'good', b: 'good', left: 9 });
    expect(digestOfB(content, stamp)).toBe(stamp.slot.digest);
  }, 900_000);

  it('boots, confirms itself and is the same system', async () => {
    const system = await systemOf();
    await shell.run('sync');
    await machine.powerCut();
    const content = contentOf(machine);
    const now = readState(content, stamp);
    if (now === undefined) throw new Error('the boot state is lost');
    writeState(content, stamp, { ...now, primary: 'b' });
    await machine.powerOn();
    const [, , , , slot] = await machine.console.waitFor(healthy, slow);
    expect(slot).toBe('B');
    shell = await logIn(machine);
    expect(await systemOf()).toBe(system);
    expect(await shell.run('findmnt -no SOURCE /')).toBe('/dev/vda3');
    await expect.poll(() => readState(content, stamp)?.left, { timeout: slow, interval: 500 }).toBe(9);
    expect(readState(content, stamp)).toMatchObject({ primary: 'b', a: 'good', b: 'good' });
  }, 900_000);
});
