// A small image made by the builder's own writers, without a base: what the readers say of it.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { siteKeyFile } from '../../formats/agentconfig.ts';
import { type BootState, encodeBootState, flashedState } from '../../formats/bootstate.ts';
import { Failure } from '../../formats/errors.ts';
import { stampOffset, stampSize } from '../../formats/stamp.ts';
import { planExt4 } from '../disk/ext4/plan.ts';
import { planFat } from '../disk/fat/plan.ts';
import { planGpt } from '../disk/gpt/plan.ts';
import { hashOf, writeToFile } from '../disk/output.ts';
import { bytesVolume } from '../disk/volumes.ts';
import { publicPem } from '../keys/keyring.ts';
import { Threads } from '../pack/threads.ts';
import { localHeader } from '../pack/zip.ts';
import { deviceStamp } from '../site/device-stamp.ts';
import { constantUuid, uuidBytes } from '../site/identity.ts';
import { fileEntry } from '../tree/overlay.ts';
import { Tree } from '../tree/tree.ts';
import { compareImages } from './compare.ts';
import { factsOf } from './facts.ts';
import { DiskImage } from './open.ts';
import { placeOf } from './place.ts';
import { withUnpacked } from './unpack.ts';
import { verifyFile, verifyFolder } from './verify.ts';

const work = mkdtempSync(join(tmpdir(), 'edgekiln-image-'));
afterAll(() => rmSync(work, { recursive: true }));

const MiB = 1024 ** 2;
const slots = { a: { start: 12 * MiB, size: 16 * MiB }, b: { start: 28 * MiB, size: 16 * MiB } };
const espAt = 4 * MiB;
const stateFile = 'EFI/edgekiln/s0.env';
const siteKey = generateKeyPairSync('ed25519').privateKey;
const deviceKey = generateKeyPairSync('ed25519').privateKey;

interface Wanted {
  readonly files: Readonly<Record<string, string>>;
  readonly signedBy?: KeyObject;
  readonly device?: string;
  readonly state?: BootState;
}

async function makeImage(
  name: string,
  { files, signedBy = siteKey, device = 'alpha', state: booted = flashedState }: Wanted,
): Promise<string> {
  const tree = new Tree();
  const entry = (path: string, content: string | Uint8Array) =>
    fileEntry(path, content, { mode: 0o644, mtime: 1 });
  const all = { ...files, [siteKeyFile.slice(1)]: publicPem(siteKey) };
  tree.merge(Object.entries(all).map(([path, content]) => entry(path, content)));
  const id = (word: string) => uuidBytes(constantUuid(word));
  const slot = planExt4(tree, {
    size: slots.a.size,
    uuid: id('u'),
    hashSeed: id('h'),
    label: 'edgekiln-a',
    time: 1,
  });
  const boot = new Tree();
  boot.merge([entry(stateFile, encodeBootState(booted))]);
  const esp = planFat(boot, { size: 8 * MiB, label: 'EDGEKILN', serial: 1 });
  const state = { start: espAt + esp.startOf(stateFile), size: 1024 };
  const stamp = deviceStamp({
    site: 'shop',
    device,
    hostname: `shop-${device}`,
    place: 1,
    disk: { bootState: [state, state], slots },
    slot: { digest: await hashOf(slot), mapped: slot.mapped.map(({ start, end }) => [start, end] as const) },
    roster: 'a roster',
    siteKey: signedBy,
    deviceKey,
  });
  const guid = (word: string) => constantUuid('partition', word);
  const disk = planGpt({
    size: 48 * MiB,
    diskGuid: constantUuid('disk', 'shop', 'pc'),
    partitions: [
      { name: 'esp', type: 'esp', guid: guid('esp'), start: espAt, size: 8 * MiB, content: esp },
      { name: 'slot-a', type: 'linux', guid: guid('a'), ...slots.a, content: slot },
      { name: 'slot-b', type: 'linux', guid: guid('b'), ...slots.b },
    ],
    extra: [{ name: 'stamp', at: stampOffset, size: stampSize, content: bytesVolume(stamp) }],
  });
  const file = join(work, name);
  await writeToFile(disk, file);
  return file;
}

function poke(file: string, at: number, text: string): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, text, at);
  closeSync(descriptor);
}

async function verified(file: string): Promise<string[]> {
  const threads = new Threads({ count: 1 });
  try {
    return (await verifyFile(file, threads, new AbortController().signal)).problems.map(
      ({ what, why }) => `${what}: ${why ?? ''}`,
    );
  } finally {
    await threads.close();
  }
}

function refusal(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    if (error instanceof Failure) return { kind: error.kind, ...error.problems[0] };
    throw error;
  }
  return 'nothing was refused';
}

const hello = { 'etc/hello': 'hello\n', 'etc/old': 'x', 'usr/bin/tool': 'y'.repeat(10_000) };

describe('an image', () => {
  it('tells its partitions, stamp, boot state and slots, and not the key of the device', async () => {
    const image = new DiskImage(await makeImage('good.img', { files: hello }));
    const facts = factsOf(image);
    expect(facts).toMatchObject({
      disk: constantUuid('disk', 'shop', 'pc'),
      table: 'first',
      partitions: [{ name: 'esp' }, { name: 'slot-a', start: slots.a.start }, { name: 'slot-b' }],
      stamp: { valid: true, stamp: { device: 'alpha', site: 'shop', place: 1 } },
      bootState: [flashedState, flashedState],
      slots: { a: { label: 'edgekiln-a', made: undefined } },
    });
    expect(facts.slots.b).toBe('not an ext4 filesystem that can be read: there is no superblock');
    const seed = image.secretStamp().deviceKey;
    expect(seed).toHaveLength(44);
    expect(JSON.stringify(facts)).not.toContain(seed);
  });

  it('knows what is at each byte', async () => {
    const image = new DiskImage(await makeImage('places.img', { files: hello }));
    const reader = image.slot('a');
    const tool = reader.stat('usr/bin/tool');
    reader.close();
    const bytes = tool?.kind === 'file' ? tool.segments[0]?.bytes : undefined;
    const at = bytes?.at === 'file' ? bytes.offset : 0;
    expect(placeOf(image, at + 9)).toBe('slot-a, /usr/bin/tool at byte 9');
    expect(placeOf(image, stampOffset)).toBe('the stamp');
    expect(placeOf(image, 512)).toBe('outside of the partitions, where the partition table is');
    expect(placeOf(image, slots.a.start + 1024)).toBe('slot-a, byte 1024: part of the filesystem itself');
    expect(placeOf(image, slots.b.start + 7)).toBe('slot-b, byte 7: part of the filesystem itself');
  });

  it('is verified, and each damage is named', async () => {
    const file = await makeImage('damaged.img', { files: hello });
    expect(await verified(file)).toEqual([]);
    poke(file, slots.a.start + 1024 + 120, 'another');
    expect(await verified(file)).toEqual([
      expect.stringMatching(/^slot A is not what the stamp names: SHA-256 is/),
    ]);
    poke(file, 512, 'garbage!');
    expect(await verified(file)).toContain(
      'the partition table is damaged; its backup at the end is whole: ',
    );
    poke(file, stampOffset + 1100, 'forged');
    const forged = "the stamp cannot be trusted: its signature is not by this site's key";
    expect(await verified(file)).toContainEqual(expect.stringContaining(forged));
  });

  it('with a stamp of another site is not trusted', async () => {
    const signedBy = generateKeyPairSync('ed25519').privateKey;
    const image = new DiskImage(await makeImage('foreign.img', { files: hello, signedBy }));
    expect(image.stamp()).toMatchObject({ valid: false });
  });
});

it('two slots are compared by file: what came, went and changed', async () => {
  const [one, other] = [
    await makeImage('one.img', { files: hello }),
    await makeImage('other.img', {
      files: { 'etc/hello': 'hallo\n', 'etc/new': 'z', 'usr/bin/tool': 'y'.repeat(10_001) },
    }),
  ];
  const change = compareImages(new DiskImage(one), new DiskImage(other));
  expect(change.esp).toEqual([]);
  expect(change.files).toEqual([
    { path: 'etc/hello', change: 'changed', what: ['content'] },
    { path: 'etc/new', change: 'added', what: ['1 bytes'] },
    { path: 'etc/old', change: 'removed', what: ['1 bytes'] },
    { path: 'usr/bin/tool', change: 'changed', what: ['size 10000 → 10001'] },
  ]);
});

it('two images with the same slot are compared by stamp, table and ESP', async () => {
  const one = await makeImage('same.img', { files: hello });
  expect(compareImages(new DiskImage(one), new DiskImage(one))).toEqual({ facts: [], esp: [], files: [] });
  const other = await makeImage('beta.img', {
    files: hello,
    device: 'beta',
    state: { ...flashedState, primary: 'b' },
  });
  const { facts, esp, files } = compareImages(new DiskImage(one), new DiskImage(other));
  expect(facts).toContain('stamp: device alpha → beta');
  expect(esp).toEqual([{ path: stateFile, change: 'changed', what: ['content'] }]);
  expect(files).toEqual([]);
});

it('a packed image tells the boot state of the image in it', async () => {
  const plain = await makeImage('packed.img', { files: hello });
  const packed = join(work, 'packed.img.zst');
  execFileSync('zstd', ['-q', plain, '-o', packed]);
  const { signal } = new AbortController();
  const facts = await withUnpacked(packed, signal, (image) => factsOf(new DiskImage(image, packed)));
  expect(facts.file).toBe(packed);
  expect(facts.bootState).toEqual([flashedState, flashedState]);
});

it('a folder whose list of digests is empty has nothing that is as it was built', async () => {
  const folder = mkdtempSync(join(work, 'empty-'));
  writeFileSync(join(folder, 'SHA256SUMS'), '');
  const threads = new Threads({ count: 1 });
  const { problems } = await verifyFolder(folder, threads);
  await threads.close();
  expect(problems).toMatchObject([{ what: 'SHA256SUMS names no file', where: join(folder, 'SHA256SUMS') }]);
});

it('a folder whose list names what is no file is told so, and nothing is waited for', async () => {
  const folder = mkdtempSync(join(work, 'list-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  mkdirSync(join(folder, 'inner'));
  writeFileSync(
    join(folder, 'SHA256SUMS'),
    ['inner', 'pipe', 'none'].map((name) => `${'0'.repeat(64)}  ${name}\n`).join(''),
  );
  const threads = new Threads({ count: 1 });
  const { problems } = await verifyFolder(folder, threads);
  await threads.close();
  expect(problems.map(({ what }) => what)).toEqual([
    'inner is not a file',
    'pipe is not a file',
    'none is missing',
  ]);
});

describe('what is no image', () => {
  const file = join(work, 'x');

  it.each([
    ['short.zip', '504b0304 0000', 'it ends in its first header'],
    ['other.zip', `504b0304${'00'.repeat(40)}`, 'the first file in it is ""'],
    [
      'cut.zip',
      `504b0304 0000 0000 0800${'00'.repeat(16)} 0500 0000 ${Buffer.from('a.img').toString('hex')} 0300`,
      'its end is missing',
    ],
    ['short.zst', '28b52ffd 0000', 'premature'],
  ])('is refused where it is packed and damaged: %s', async (name, hex, why) => {
    const file = join(work, name);
    writeFileSync(file, Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    const { signal } = new AbortController();
    await expect(withUnpacked(file, signal, () => {})).rejects.toMatchObject({
      kind: 'input',
      problems: [{ where: file, why: expect.stringContaining(why) }],
    });
  });

  it('is refused where it is no file, and a pipe is not waited for', async () => {
    const pipe = join(work, 'pipe.img');
    execFileSync('mkfifo', [pipe]);
    for (const [path, what] of [
      [pipe, 'this is a pipe or a device, not an image'],
      ['/dev/null', 'this is a pipe or a device, not an image'],
      [work, 'this is a folder, not an image'],
    ] as const) {
      const { signal } = new AbortController();
      await expect(withUnpacked(path, signal, () => {})).rejects.toMatchObject({
        kind: 'input',
        problems: [{ what, where: path }],
      });
      expect(() => new DiskImage(path)).toThrow(what);
    }
  });

  it.each(['zip', 'zst'])('nor one that would fill the disk: a %s', async (kind) => {
    const bomb = join(work, `bomb.img.${kind}`);
    const plain = Buffer.alloc(100 * 1024 ** 2, 'a');
    const entry = { name: 'bomb.img', size: plain.length, crc: 0, deflated: true, at: 0 };
    const packed =
      kind === 'zst'
        ? execFileSync('zstd', ['-qc'], { input: plain })
        : Buffer.concat([
            localHeader({ ...entry, compressedSize: 0 }, 1e9),
            deflateRawSync(plain),
            Buffer.from('504b0506', 'hex'),
            Buffer.alloc(18),
          ]);
    writeFileSync(bomb, packed);
    const error = await withUnpacked(bomb, new AbortController().signal, () => {}).catch((e: unknown) => e);
    expect(error).toMatchObject({
      kind: 'input',
      problems: [{ what: expect.stringMatching(/^it unpacks to more than \d\d MiB$/), where: bomb }],
    });
  });

  it.each([
    ['504b0304', 'a zip', 'unzip'],
    ['28b52ffd', 'packed with zstd', 'zstd -d'],
    ['1f8b0800', 'packed with gzip', 'gunzip -k'],
    ['fd377a585a00', 'packed with xz', 'unxz -k'],
  ])('%s is %s', (magic, kind, fix) => {
    writeFileSync(file, Buffer.from(magic, 'hex'));
    expect(refusal(() => new DiskImage(file))).toEqual({
      kind: 'unsupported',
      what: `this is ${kind}, and only the image in it can be looked into`,
      where: file,
      fix: `${fix} ${file}`,
    });
  });

  it('garbage, nothing at all, and a folder', () => {
    writeFileSync(file, 'x'.repeat(100_000));
    expect(refusal(() => new DiskImage(file))).toMatchObject({
      kind: 'input',
      what: 'this is not an image that edgekiln made',
      why: 'neither its partition table nor the backup of it is whole',
    });
    expect(refusal(() => new DiskImage('/nowhere'))).toMatchObject({
      kind: 'input',
      what: 'no such file or folder',
    });
    expect(refusal(() => new DiskImage(work))).toMatchObject({ kind: 'input' });
  });
});

describe('an image damaged at any places', () => {
  /** Puts back what patches laid over. */
  const restore = (
    file: string,
    whole: Buffer,
    changes: readonly (readonly [number, Uint8Array])[],
  ): void => {
    const descriptor = openSync(file, 'r+');
    for (const [at, { length }] of changes) writeSync(descriptor, whole, at, length, at);
    closeSync(descriptor);
    truncateSync(file, whole.length);
  };
  /** Where bytes carry a meaning: tables, stamp, directories, superblock, descriptors, inodes. */
  const places = fc.oneof(
    fc.nat(34 * 512),
    fc.nat(stampSize).map((at) => stampOffset + at),
    fc.nat(256 * 1024).map((at) => espAt + at),
    fc.nat(512 * 1024).map((at) => slots.a.start + at),
    fc.nat(2048).map((at) => slots.a.start + 1024 + (at % 1024)),
    fc.nat(34 * 512 - 8).map((at) => 48 * MiB - 34 * 512 + at),
  );
  const patches = fc.array(fc.tuple(places, fc.uint8Array({ minLength: 1, maxLength: 8 })), {
    minLength: 1,
    maxLength: 30,
  });

  it('is told about or refused, and nothing crashes or runs without end', async () => {
    const file = await makeImage('damaged.img', { files: hello });
    const whole = readFileSync(file);
    const threads = new Threads({ count: 1 });
    const refused = async (work: () => unknown): Promise<void> => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    };
    try {
      await fc.assert(
        fc.asyncProperty(patches, async (changes) => {
          const descriptor = openSync(file, 'r+');
          for (const [at, change] of changes) writeSync(descriptor, change, 0, change.length, at);
          closeSync(descriptor);
          const began = performance.now();
          await refused(() => factsOf(new DiskImage(file)));
          await refused(() => {
            const slot = new DiskImage(file).slot('a');
            try {
              let entries = 0;
              for (const entry of slot.entries()) {
                if (++entries > 100_000) throw new Error('a damaged directory has no end');
                if (entry.kind === 'file' && entry.size < MiB) slot.read(entry.path);
              }
            } finally {
              slot.close();
            }
          });
          await refused(() => {
            const esp = new DiskImage(file).esp();
            try {
              for (const entry of esp.entries())
                if (entry.kind === 'file' && entry.size < MiB) esp.read(entry);
            } finally {
              esp.close();
            }
          });
          await refused(() => verifyFile(file, threads, new AbortController().signal));
          // Nothing in an image makes a reader work for minutes.
          expect(performance.now() - began).toBeLessThan(20_000);
          restore(file, whole, changes);
        }),
        { numRuns: 300, interruptAfterTimeLimit: 10_000 },
      );
    } finally {
      await threads.close();
    }
  }, 120_000);
});
