// The initrd's care for the boot state, its choice of the disk, and when it makes data, run by busybox on images: it must
// take the same copies for whole as the agent does.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type BootState, bootStateSize, decodeBootState, encodeBootState } from '../../formats/bootstate.ts';
import { type Stamp, sealStamp } from '../../formats/stamp.ts';

const MiB = 1024 * 1024;
const sector = 512;
const init = readFileSync(join(import.meta.dirname, '../../overlays/initrd/init'), 'utf8');
const part = (from: string, to: string): string => init.slice(init.indexOf(from), init.indexOf(to));

/** A folder that is gone when the test ends. */
function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'initrd-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const { privateKey } = generateKeyPairSync('ed25519');
const extent = { start: 8 * MiB, size: MiB };
const stamp: Stamp = {
  version: 1,
  site: 'quickstart',
  device: 'shop-01',
  hostname: 'shop-01',
  place: 1,
  flash: '6a1ff1c8-3b7a-4d0c-8a54-8f1d86b3a7a1',
  deviceKey: Buffer.alloc(32, 7).toString('base64'),
  disk: { bootState: [extent, extent], slots: { a: extent, b: extent } },
  slot: { digest: 'd'.repeat(64), mapped: [[0, MiB]] },
};

const busybox = (script: string): string =>
  execFileSync('busybox', ['sh', '-c', script], { encoding: 'utf8' });

const older: BootState = { seq: 4, primary: 'a', a: 'good', b: 'bad', left: 9 };
const newer: BootState = { seq: 5, primary: 'b', a: 'good', b: 'trial', left: 3 };
const [old, now] = [encodeBootState(older), encodeBootState(newer)];
const mixed = (first: Buffer, second: Buffer) =>
  Buffer.concat([first.subarray(0, sector), second.subarray(sector)]);
const [zeros, garbage] = [Buffer.alloc(bootStateSize), Buffer.alloc(bootStateSize, 0x2a)];

describe('the boot state', () => {
  const starts = [4 * MiB + 64 * 1024, 4 * MiB + 128 * 1024] as const;

  /** A disk with an ESP from 4 MiB on, and these two copies. Gives both as they are after mending, and what boot.json tells. */
  function mend(copies: readonly [Buffer, Buffer], at: readonly number[] = starts, seq = '5') {
    const folder = scratch();
    const file = join(folder, 'disk');
    const disk = Buffer.alloc(5 * MiB, 0x55);
    for (const [index, copy] of copies.entries()) copy.copy(disk, at[index]);
    writeFileSync(file, disk);
    const [one = 0, two = 0] = at;
    const bootState = [
      { start: one, size: bootStateSize },
      { start: two, size: bootStateSize },
    ] as const;
    writeFileSync(
      join(folder, 'stamp'),
      sealStamp({ ...stamp, disk: { ...stamp.disk, bootState } }, privateKey),
    );
    mkdirSync(join(folder, 'sys/disk/disk1'), { recursive: true });
    for (const [name, value] of [
      ['partition', 1],
      ['start', (4 * MiB) / sector],
      ['size', MiB / sector],
    ])
      writeFileSync(join(folder, 'sys/disk/disk1', String(name)), `${value}\n`);
    const script = `disk=disk; slot=a; seq=${seq}; problems=
      say() { :; }
      ${part('problem() {', '# Nothing more can be done')}
      ${part('# The block device of a partition', '# --- The boot state')}
      ${part('# Whether the copy of the boot state', '# A watchdog resets')}
      echo "[$problems]"`;
    const told: unknown = JSON.parse(
      busybox(
        script
          .replaceAll('/sys/block', join(folder, 'sys'))
          .replaceAll('/dev/$disk', file)
          .replace('/run/edgekiln/stamp', join(folder, 'stamp')),
      ),
    );
    const after = readFileSync(file);
    const found = at.map((start) => Buffer.from(after.subarray(start, start + bootStateSize)));
    for (const start of at) disk.fill(0, start, start + bootStateSize);
    for (const start of at) after.fill(0, start, start + bootStateSize);
    expect(after.equals(disk)).toBe(true);
    return { told, found };
  }

  test.each<[string, Buffer]>([
    ['torn behind its first sector', mixed(now, old)],
    ['torn before its first sector', mixed(old, now)],
    ['of two writes that had the same number', mixed(encodeBootState({ ...newer, left: 2 }), now)],
    ['garbage', garbage],
    ['zeros', zeros],
  ])('a copy that is %s gets the bytes of the whole one', (_, bad) => {
    expect(decodeBootState(bad)).toBeUndefined();
    const whole = ['a damaged copy of the boot state is whole again'];
    for (const copies of [
      [bad, now],
      [now, bad],
    ] as const) {
      const { told, found } = mend(copies);
      expect(told).toEqual(whole);
      expect(found).toEqual([now, now]);
    }
  });

  test('two whole copies are left alone', () => {
    for (const copies of [
      [old, now],
      [now, old],
    ] as const)
      expect(mend(copies)).toEqual({ told: [], found: copies });
  });

  test('two that are not are left to the agent, and the status says so', () => {
    const told = ['the boot state was lost: slot a was started, and the agent writes it anew'];
    const copies = [garbage, mixed(now, old)] as const;
    expect(mend(copies)).toEqual({ told, found: copies });
  });

  test('whole copies that the boot script did not find are said too', () => {
    const told = ['the boot script finds no boot state: no start is counted until this disk is flashed anew'];
    expect(mend([old, now], starts, '')).toEqual({ told, found: [old, now] });
  });

  test('a stamp that names bytes outside of the ESP moves nothing', () => {
    expect(mend([garbage, now], [MiB, 4 * MiB + 4096])).toEqual({ told: [], found: [garbage, now] });
  });
});

describe('the disk', () => {
  const { flash } = stamp;

  /** Chooses among disks with these names, of which some carry the stamp. */
  function choose(disks: Readonly<Record<string, string>>, preference: string): string {
    const folder = scratch();
    for (const [name, flashId] of Object.entries(disks)) {
      mkdirSync(join(folder, 'sys', name), { recursive: true });
      writeFileSync(join(folder, 'sys', name, 'size'), '16384\n');
      const bytes = Buffer.alloc(3 * MiB + 1024);
      bytes.write(`# GRUB Environment Block\nflash_id=${flashId}\n`, 3 * MiB);
      mkdirSync(join(folder, 'dev'), { recursive: true });
      writeFileSync(join(folder, 'dev', name), bytes);
    }
    const script = part('# Disks whose bytes at 3 MiB', '# The boot script counted this attempt')
      .replaceAll('/sys/block', join(folder, 'sys'))
      .replaceAll('/dev/', `${join(folder, 'dev')}/`)
      .replace(' sleep 30\n', ' exit 3\n');
    return execFileSync(
      'busybox',
      [
        'sh',
        '-c',
        `flash=${flash}; disk_preference="${preference}"; problems=
        say() { echo "$*"; }; give_up() { echo "$*"; exit 4; }; usleep() { :; }
        problem() { say "$*"; }
        ${script.replace('-gt 8192 ]', '-gt 6000 ]')}
        echo "takes $disk"`,
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 30_000 },
    );
  }

  test('is the one with the stamp', () => {
    expect(choose({ mmcblk0: 'another', mmcblk2: flash, loop0: flash }, '')).toBe('takes mmcblk2\n');
  });

  test('of two is the one the board prefers, and the status says so', () => {
    const both = { mmcblk0: flash, mmcblk2: flash };
    const said = 'mmcblk0 mmcblk2 carry the same stamp: mmcblk2 is used\n';
    expect(choose(both, 'mmcblk2 mmcblk0')).toBe(`${said}takes mmcblk2\n`);
  });

  test('of two is neither, where the board prefers none: both are named', () => {
    expect(() => choose({ mmcblk0: flash, mmcblk2: flash }, 'sda')).toThrow(
      expect.objectContaining({
        status: 3,
        stdout: expect.stringContaining('two disks carry the same stamp: mmcblk0 mmcblk2.'),
      }),
    );
  });

  test('is none: the device starts again', () => {
    expect(() => choose({ sda: 'another' }, '')).toThrow(expect.objectContaining({ status: 4 }));
  });
});

describe('data without a superblock', () => {
  /** Whether the first MiB of this partition passes for the zeros that flashing leaves. */
  function isEmpty(bytes: Buffer | 'a folder'): boolean {
    const folder = scratch();
    const file = join(folder, 'data');
    if (bytes === 'a folder') mkdirSync(file);
    else writeFileSync(file, bytes);
    const check = part('first_mib_is_empty()', 'make_data() {').replace('/dev/$data', file);
    return busybox(`${check}\nfirst_mib_is_empty && echo empty || echo not`) === 'empty\n';
  }

  test('is made where a whole MiB of zeros was read', () => {
    expect(isEmpty(Buffer.alloc(MiB))).toBe(true);
    expect(isEmpty(Buffer.concat([Buffer.alloc(MiB), Buffer.alloc(MiB, 0x55)]))).toBe(true);
  });

  test.each([0, 1080, MiB - 1])('is not made over a byte that stands at %d', (at) => {
    for (const value of [1, 0x7f, 0x80, 0xff]) {
      const bytes = Buffer.alloc(2 * MiB);
      bytes[at] = value;
      expect(isEmpty(bytes)).toBe(false);
    }
  });

  test('is not made over what cannot be read: a bad block is no empty one', () => {
    expect(isEmpty('a folder')).toBe(false);
    expect(isEmpty(Buffer.alloc(64 * 1024))).toBe(false);
  });
});

describe('a file that is kept on data', () => {
  const keepCopy = part('keep_copy() {', 'case "$data_state"');

  test.each([
    { told: 'is copied over the slot', kept: 'from data', takes: true, found: 'from data' },
    {
      told: 'leaves the slot alone where it is not there',
      kept: undefined,
      takes: true,
      found: 'of the slot',
    },
    { told: 'is refused when it is empty', kept: '', takes: false, found: 'of the slot' },
  ])('$told', ({ kept, takes, found }) => {
    const folder = scratch();
    for (const name of ['slot/etc', 'data/etc']) mkdirSync(join(folder, name), { recursive: true });
    const file = join(folder, 'slot/etc/machine-id');
    writeFileSync(file, 'of the slot');
    if (kept !== undefined) writeFileSync(join(folder, 'data/etc/machine-id'), kept);
    const script = `kept=${folder}/data\n${keepCopy.replaceAll('/slot', `${folder}/slot`)}`;
    const said = busybox(`${script}\nkeep_copy /etc/machine-id 0444 0:0 && echo taken || echo refused`);
    expect(said.trim()).toBe(takes ? 'taken' : 'refused');
    expect(readFileSync(file, 'utf8')).toBe(found);
  });
});
