// The disk against QEMU's own NBD client, and its cache against a plain array.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seeded } from '../../switch/random.ts';
import { type Disk, volatileDisk } from '../disk.ts';
import { openMedium } from './medium.ts';
import { type Medium, openWriteCache } from './write-cache.ts';

const directory = mkdtempSync(join(tmpdir(), 'nbd-'));
afterAll(() => rmSync(directory, { recursive: true }));

const MiB = 1024 ** 2;

function plainMedium(size: number): Medium & { bytes: Buffer } {
  const bytes = Buffer.alloc(size);
  return {
    bytes,
    read: (offset, length) => Buffer.from(bytes.subarray(offset, offset + length)),
    write: (offset, data) => void data.copy(bytes, offset),
    zero: (offset, length) => void bytes.fill(0, offset, offset + length),
  };
}

const size = 16 * 1024;
const range = fc
  .tuple(fc.nat(size / 512 - 1), fc.integer({ min: 1, max: 8 }))
  .map(([at, count]) => ({ offset: at * 512, length: Math.min(count * 512, size - at * 512) }));
const step = fc.oneof(
  fc.record({
    do: fc.constant('write' as const),
    range,
    fill: fc.integer({ min: 1, max: 255 }),
    durable: fc.boolean(),
  }),
  fc.record({ do: fc.constant('zero' as const), range, durable: fc.boolean() }),
  fc.record({ do: fc.constant('flush' as const) }),
);

describe('the write cache', () => {
  it('reads what was written last, and after a cut that keeps nothing has exactly what was flushed or durable', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const medium = plainMedium(size);
        const cache = openWriteCache(medium);
        const now = Buffer.alloc(size);
        const safe = Buffer.alloc(size);
        for (const each of steps) {
          if (each.do === 'flush') {
            cache.flush();
            now.copy(safe);
            continue;
          }
          const { offset, length } = each.range;
          const fill = each.do === 'write' ? each.fill : 0;
          cache.write(offset, each.do === 'write' ? Buffer.alloc(length, fill) : length, each.durable);
          now.fill(fill, offset, offset + length);
          if (each.durable) safe.fill(fill, offset, offset + length);
          expect(cache.read(0, size).equals(now)).toBe(true);
        }
        cache.cut(0, seeded(1));
        expect(cache.read(0, size).equals(safe)).toBe(true);
        expect(medium.bytes.equals(safe)).toBe(true);
      }),
    );
  });

  it('keeps each unflushed sector old or new at a cut, never a mixture, whatever the seed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, keep) => {
        const cache = openWriteCache(plainMedium(size));
        cache.write(0, Buffer.alloc(size, 1));
        cache.flush();
        for (let at = 0; at < size; at += 4096) cache.write(at, Buffer.alloc(4096, 2));
        const { lost, kept, torn } = cache.cut(keep, seeded(seed));
        expect(lost + kept).toBe(4);
        const after = cache.read(0, size);
        const mixed = [0, 4096, 8192, 12288].filter((at) => new Set(after.subarray(at, at + 4096)).size > 1);
        expect(mixed.length).toBeLessThanOrEqual(torn);
        for (let at = 0; at < size; at += 512) expect(new Set(after.subarray(at, at + 512)).size).toBe(1);
      }),
    );
  });

  it('writes out the oldest when it is full, and only those', () => {
    const cache = openWriteCache(plainMedium(size));
    for (let n = 0; n < 4100; n++) cache.write(0, Buffer.alloc(512, n < 4 ? n + 1 : 9));
    cache.cut(0, seeded(1));
    expect(cache.read(0, 1)[0]).toBe(4);
  });
});

describe('the medium', () => {
  it('is the image with the changes over it, in any order of writes and zeros, and never touches the image', () => {
    const image = join(directory, 'image');
    const original = Buffer.alloc(size - 700, 7);
    writeFileSync(image, original);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const medium = openMedium(image, join(directory, 'changes'), size);
        const plain = Buffer.concat([original, Buffer.alloc(700)]);
        for (const each of steps) {
          if (each.do === 'flush') continue;
          const { offset, length } = each.range;
          const fill = each.do === 'write' ? each.fill : 0;
          if (each.do === 'write') medium.write(offset, Buffer.alloc(length, fill));
          else medium.zero(offset, length);
          plain.fill(fill, offset, offset + length);
          expect(medium.read(offset, length).equals(plain.subarray(offset, offset + length))).toBe(true);
        }
        expect(medium.read(0, size).equals(plain)).toBe(true);
        medium.close();
        expect(readFileSync(image).equals(original)).toBe(true);
      }),
    );
  });
});

describe('a disk over NBD, used by qemu-io and qemu-img', () => {
  const image = join(directory, 'disk.img');
  writeFileSync(image, Buffer.alloc(MiB, 0x11));
  const socket = join(directory, 'nbd.sock');
  let disk: Disk;
  beforeEach(async () => {
    disk = await volatileDisk(image, directory, { socket, survival: 0, random: seeded(1), size: 4 * MiB });
  });
  afterEach(() => disk.close());
  const url = `nbd+unix:///disk?socket=${socket}`;
  /** Without `-c flush`, qemu-io flushes when it closes: it is killed instead, as a machine is. */
  const qemuIo = (...commands: string[]) =>
    execa(
      'qemu-io',
      [
        '-f',
        'raw',
        '-t',
        'writeback',
        '-d',
        'unmap',
        ...commands.flatMap((each) => ['-c', each]),
        '-c',
        'sigraise 9',
        url,
      ],
      { reject: false },
    );

  it('tells its size, reads the image and zeros behind it', async () => {
    const { stdout } = await execa('qemu-img', ['info', '--output=json', url]);
    expect(JSON.parse(stdout)).toMatchObject({ 'virtual-size': 4 * MiB, format: 'raw' });
    const read = await qemuIo('read -P 0x11 0 1M', 'read -P 0 1M 3M');
    expect(read.stdout).not.toContain('verification failed');
    expect(read.stdout).toContain('read 3145728/3145728 bytes at offset 1048576');
  });

  it('keeps what was flushed or forced, and loses the rest at a power cut', async () => {
    const written = await qemuIo(
      'write -P 1 0 64k',
      'flush',
      'write -P 2 0 4k',
      'write -f -P 3 8k 4k',
      'write -z 16k 8k',
      'discard 32k 8k',
      'read -P 2 0 4k',
      'read -P 0 16k 8k',
      'read -P 0 32k 8k',
    );
    expect(written.stdout).not.toContain('verification failed');
    expect(written.stdout).toContain('read 8192/8192 bytes at offset 32768');
    expect(await disk.powerCut()).toEqual({ lost: 3, kept: 0, torn: 0 });
    const left = await qemuIo('read -P 1 0 8k', 'read -P 3 8k 4k', 'read -P 1 12k 52k');
    expect(left.stdout).not.toContain('verification failed');
    expect(left.stdout).toContain('read 53248/53248 bytes at offset 12288');
  });

  it('loses power with a write that is chosen: nothing behind it is taken, no flush either', async () => {
    const seen: number[] = [];
    disk.watch?.((offset, length) => {
      seen.push(offset, length);
      return offset === 4096;
    });
    await qemuIo('write -P 1 0 4k', 'flush', 'write -P 2 4k 4k', 'flush', 'write -P 3 8k 4k', 'flush');
    expect(seen).toEqual([0, 4096, 4096, 4096]);
    expect(await disk.powerCut()).toEqual({ lost: 1, kept: 0, torn: 0 });
    const left = await qemuIo('read -P 1 0 4k', 'read -P 0x11 4k 8k', 'write -P 4 4k 4k', 'flush');
    expect(left.stdout).not.toContain('verification failed');
    expect(await disk.powerCut()).toEqual({ lost: 0, kept: 0, torn: 0 });
    expect(disk.content?.read(4096, 1)).toEqual(Buffer.from([4]));
  });

  it('carries a whole image in and out unchanged', async () => {
    const random = seeded(7);
    const source = Buffer.from(Uint8Array.from({ length: 4 * MiB }, () => random() * 256));
    writeFileSync(join(directory, 'source'), source);
    await execa('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', join(directory, 'source'), url]);
    await disk.powerCut(); // convert flushed at its end
    await execa('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', url, join(directory, 'copy')]);
    expect(readFileSync(join(directory, 'copy')).equals(source)).toBe(true);
  });

  it('cuts off who does not speak NBD, and serves the next', async () => {
    await new Promise<void>((resolve) => {
      const noise = net.connect(socket, () => noise.write(Buffer.alloc(4096, 0xa5)));
      noise.on('close', () => resolve());
      noise.resume();
    });
    const { stdout } = await qemuIo('read -P 0x11 0 512');
    expect(stdout).toContain('read 512/512');
  });
});
