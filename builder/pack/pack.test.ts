import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { crc32 } from '../disk/crc32.ts';
import { blockRanges, blockSize, parseBlockMap, renderBlockMap } from './bmap.ts';
import { crcShift, joinCrc } from './crc.ts';
import { inOrder } from './ordered.ts';
import { Threads } from './threads.ts';
import { directory, localHeader, type ZipEntry } from './zip.ts';

const work = mkdtempSync(join(tmpdir(), 'edgekiln-pack-'));
afterAll(() => rmSync(work, { recursive: true }));

describe('block maps', () => {
  it('take ranges outwards to blocks, and join those that touch', () => {
    const ranges = [
      { start: 10, end: 20 },
      { start: 4000, end: 5000 },
      { start: 8192, end: 8193 },
      { start: 40_960, end: 40_961 },
    ];
    expect(blockRanges(ranges)).toEqual([
      { start: 0, end: 3 * blockSize },
      { start: 10 * blockSize, end: 11 * blockSize },
    ]);
  });

  it('are read back as they were written; one changed digit shows', () => {
    const map = { size: 100 * blockSize, runs: [{ start: 0, end: blockSize, sha256: 'a'.repeat(64) }] };
    const text = renderBlockMap(map);
    expect(parseBlockMap(text)).toEqual(map);
    expect(parseBlockMap(text.replace('aaaa', 'aaab'))).toBe('its own digest does not match');
    expect(parseBlockMap('<bmap version="1.3">')).toBe('it is not a block map of version 2.0');
  });

  it('bmaptool refuses one whose digests are wrong, and takes ours', async () => {
    const image = join(work, 'small.img');
    writeFileSync(image, Buffer.alloc(8 * blockSize, 'x'));
    const threads = new Threads({ count: 1 });
    const ranges = [{ start: blockSize, end: 3 * blockSize }];
    const [sha256 = ''] = await threads.runs(image, ranges);
    await threads.close();
    const copy = (digest: string): number | null => {
      const runs = ranges.map((range) => ({ ...range, sha256: digest }));
      writeFileSync(`${image}.bmap`, renderBlockMap({ size: 8 * blockSize, runs }));
      return spawnSync('bmaptool', ['copy', image, `${image}.copy`]).status;
    };
    expect(copy(sha256)).toBe(0);
    expect(copy('0'.repeat(64))).not.toBe(0);
  });
});

describe('work in order', () => {
  const { signal } = new AbortController();

  it('comes back in order, and no more is under way than allowed', async () => {
    let [running, most] = [0, 0];
    const done: number[] = [];
    for await (const item of inOrder([5, 1, 4, 2, 3, 0], { ahead: 3, signal }, async (item) => {
      most = Math.max(most, ++running);
      await setTimeout(item);
      running--;
      return item;
    }))
      done.push(item);
    expect([done, most]).toEqual([[5, 1, 4, 2, 3, 0], 3]);
  });

  it('that fails ends only when what was started beside it has ended', async () => {
    let ended = 0;
    const work = async () => {
      for await (const _ of inOrder([1, 2, 3], { ahead: 3, signal }, async (item) => {
        if (item === 1) throw new Error('torn');
        await setTimeout(10 * item);
        ended++;
      }));
    };
    await expect(work()).rejects.toThrow('torn');
    expect(ended).toBe(2);
  });

  it('stops when it is told to', async () => {
    const aborted = { ahead: 2, signal: AbortSignal.abort() };
    const work = async () => {
      for await (const _ of inOrder([1, 2, 3], aborted, async () => {}));
    };
    await expect(work()).rejects.toMatchObject({ kind: 'interrupted' });
  });
});

it('CRCs of pieces join to the CRC of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const whole = crc32(Buffer.concat([a, b]));
      expect(joinCrc(crc32(a), crc32(b), crcShift(b.length))).toBe(whole);
    }),
  );
});

describe('zip', () => {
  /** A zip whose entries lie where they are told, with holes between: for places behind 4 GiB. */
  function sparseZip(
    file: string,
    entries: readonly (ZipEntry & { readonly bytes: Buffer })[],
    at: number,
  ): void {
    writeFileSync(file, '');
    truncateSync(file, at);
    const put = (offset: number, bytes: Uint8Array) =>
      execFileSync(
        'dd',
        [`of=${file}`, 'bs=64k', `seek=${offset}`, 'oflag=seek_bytes', 'conv=notrunc', 'status=none'],
        { input: bytes },
      );
    for (const entry of entries) put(entry.at, Buffer.concat([localHeader(entry, 1e9), entry.bytes]));
    put(at, directory(entries, at, 1e9));
  }

  it('unzip and Python read entries before and behind 4 GiB', () => {
    const file = join(work, 'far.zip');
    const entry = (name: string, at: number) => {
      const bytes = Buffer.from(`this is ${name}`);
      const size = bytes.length;
      return { name, size, compressedSize: size, crc: crc32(bytes), deflated: false, at, bytes };
    };
    sparseZip(file, [entry('near.txt', 0), entry('fär.txt', 5 * 2 ** 30)], 5 * 2 ** 30 + 4096);
    const read = (name: string) =>
      execFileSync(
        'python3',
        [
          '-c',
          'import sys,zipfile; print(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]).decode())',
          file,
          name,
        ],
        { encoding: 'utf8' },
      );
    expect(read('near.txt')).toBe('this is near.txt\n');
    expect(read('fär.txt')).toBe('this is fär.txt\n');
    execFileSync('unzip', ['-tq', file], { stdio: 'pipe' });
    rmSync(file);
  });
});

describe('threads', () => {
  const file = join(work, 'data');
  const bytes = Buffer.alloc(3 * 65_536, 'edgekiln deflates ');
  writeFileSync(file, bytes);

  const nameOf = (index: number) =>
    createHash('sha256')
      .update(bytes.subarray(index * 65_536, (index + 1) * 65_536))
      .digest('hex');

  async function deflateAll(count: number, folder: string) {
    const threads = new Threads({ count });
    try {
      const jobs = [0, 1, 2].map((index) =>
        threads.deflate({ file, at: index * 65_536, length: 65_536, level: 6, folder, name: nameOf(index) }),
      );
      return (await Promise.all(jobs)).map(({ crc, file: kept, at, size }) => {
        return { crc, bytes: readFileSync(kept).subarray(at, at + size) };
      });
    } finally {
      await threads.close();
    }
  }

  it('give pieces that join to one stream, the same from one thread and from four', async () => {
    const one = await deflateAll(1, join(work, 'one'));
    const four = await deflateAll(4, join(work, 'four'));
    expect(four).toEqual(one);
    const stream = Buffer.concat([...one.map((piece) => piece.bytes), Uint8Array.of(3, 0)]);
    expect(inflateRawSync(stream).equals(bytes)).toBe(true);
  });

  it('do not believe a kept piece that was torn', async () => {
    const folder = join(work, 'torn');
    mkdirSync(folder);
    const good = await deflateAll(2, folder);
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.length > 60,
    );
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const kept = readFileSync(join(folder, name));
      writeFileSync(
        join(folder, name),
        Buffer.concat([kept.subarray(0, 40), Buffer.alloc(kept.length - 40)]),
      );
    }
    expect(await deflateAll(2, folder)).toEqual(good);
  });

  it('stop in the middle of what they do', async () => {
    const controller = new AbortController();
    const threads = new Threads({ count: 2, signal: controller.signal });
    const large = { size: 2 ** 40, ranges: [] };
    // The last waits for a writer that never comes.
    const waits = { file, size: 1, chunk: 1, part: { start: 0, end: 0 }, copies: [] };
    const jobs = [
      threads.digest(file, large),
      threads.digest(file, large),
      threads.survey({ ...waits, ranges: [{ start: 0, end: 1 }], written: new SharedArrayBuffer(8) }),
    ];
    await setTimeout(200);
    controller.abort();
    for (const job of jobs) await expect(job).rejects.toMatchObject({ kind: 'interrupted' });
    await threads.close();
  });

  it('take what is outside of the ranges as zeros, and say which file they cannot read', async () => {
    const threads = new Threads({ count: 2 });
    const holes = Buffer.alloc(200_000);
    bytes.copy(holes, 1000, 1000, 5000);
    writeFileSync(join(work, 'holes'), holes);
    const whole = await threads.digest(join(work, 'holes'));
    const ranges = [
      { start: 1000, end: 3000 },
      { start: 3000, end: 5000 },
    ];
    expect(await threads.digest(file, { ranges, size: 200_000 })).toBe(whole);
    await expect(threads.runs('/nowhere', [])).rejects.toMatchObject({
      kind: 'io',
      problems: [{ where: '/nowhere' }],
    });
    await threads.close();
  });
});
