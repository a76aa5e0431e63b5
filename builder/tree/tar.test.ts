import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Failure, renderError } from '../../formats/errors.ts';
import { type Entry, nameFromBytes, nameToBytes } from './entry.ts';
import { indexTar } from './tar.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekiln-tar-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const shell = (script: string): void => {
  execFileSync('sh', ['-euc', script], { cwd: folder, env: { ...process.env, LC_ALL: 'C.UTF-8' } });
};

/** The bytes of a file entry, read where the index says they are. */
function contents(entry: Entry | undefined): Buffer {
  if (entry?.kind !== 'file') throw new Error('not a file');
  const whole = Buffer.alloc(entry.size);
  for (const { offset, bytes } of entry.segments) {
    if (bytes.at !== 'file') throw new Error('not in a file');
    const fd = openSync(bytes.file, 'r');
    readSync(fd, whole, offset, bytes.length, bytes.offset);
    closeSync(fd);
  }
  return whole;
}

const indexed = (name: string): Map<string, Entry> =>
  new Map([...indexTar(join(folder, name))].map((entry) => [entry.path, entry]));

describe('the index of a tar file', () => {
  const long = `${'d'.repeat(120)}/${'n'.repeat(200)}`;

  it.each(['ustar', 'pax', 'gnu', 'oldgnu', 'v7'])('reads what GNU tar writes as %s', (format) => {
    const limited = format === 'ustar' || format === 'v7';
    shell(`rm -rf t && mkdir -p t/sub && printf hello > t/file && ln t/file t/sub/hard && ln -s ../file t/sub/soft
      chmod 4751 t/file; chmod 2770 t/sub; touch -d @1000000000 t/file t/sub t
      ${limited ? '' : `mkdir t/${'d'.repeat(120)}; printf long > t/${long}; ln -s ${long} t/far`}
      ${format === 'v7' ? '' : 'mkfifo t/pipe; [ "$(id -u)" != 0 ] || mknod t/null c 1 3'}
      tar -C t --format=${format} --sort=name --owner=0 --group=123 -cf ${format}.tar .`);
    const entries = indexed(`${format}.tar`);
    expect(entries.get('')?.kind).toBe('directory');
    expect(entries.get('file')).toMatchObject({
      kind: 'file',
      mode: 0o4751,
      uid: 0,
      gid: 123,
      mtime: 1e9,
      size: 5,
    });
    expect(contents(entries.get('file')).toString()).toBe('hello');
    expect(entries.get('sub')).toMatchObject({ kind: 'directory', mode: 0o2770 });
    expect(entries.get('sub/hard')).toMatchObject({ kind: 'hardlink', target: 'file' });
    expect(entries.get('sub/soft')).toMatchObject({ kind: 'symlink', target: '../file' });
    if (!limited) {
      expect(contents(entries.get(long)).toString()).toBe('long');
      expect(entries.get('far')).toMatchObject({ kind: 'symlink', target: long });
    }
    if (format !== 'v7') expect(entries.get('pipe')?.kind).toBe('fifo');
    if (format !== 'v7' && process.getuid?.() === 0) {
      expect(entries.get('null')).toMatchObject({ kind: 'char', major: 1, minor: 3 });
    }
  });

  it.each(['--sparse-version=1.0', '--sparse-version=0.1', '--sparse-version=0.0', '--format=gnu'])(
    'reads the map of a sparse file: %s',
    (version) => {
      shell(`rm -rf s && mkdir s && truncate -s 5000M s/holes
        for i in $(seq 0 29); do printf "run $i" | dd of=s/holes bs=1 seek=$((i * 150000000)) conv=notrunc status=none; done
        printf after > s/z; tar -C s --sort=name --sparse ${version} -cf sparse.tar holes z`);
      const entries = indexed('sparse.tar');
      const holes = entries.get('holes');
      if (holes?.kind !== 'file') throw new Error('no file');
      expect(holes.size).toBe(5000 * 1024 * 1024);
      const found = holes.segments.filter(({ bytes }) => bytes.at === 'file' && bytes.length > 0);
      expect(found.length).toBeGreaterThanOrEqual(30);
      for (let i = 0; i < 30; i++) {
        const segment = found.find(
          ({ offset }) => Math.floor(offset / 4096) === Math.floor((i * 150000000) / 4096),
        );
        if (segment?.bytes.at !== 'file') throw new Error(`run ${i} is missing`);
        const bytes = Buffer.alloc(segment.bytes.length);
        const fd = openSync(segment.bytes.file, 'r');
        readSync(fd, bytes, 0, bytes.length, segment.bytes.offset);
        closeSync(fd);
        const within = i * 150000000 - segment.offset;
        expect(bytes.toString('latin1', within, within + 5 + (i > 9 ? 1 : 0))).toBe(`run ${i}`);
      }
      expect(contents(entries.get('z')).toString()).toBe('after');
    },
  );

  it('reads extended attributes of both forms', async () => {
    const archive = pack();
    archive.entry(
      { name: 'a', pax: { 'SCHILY.xattr.user.b': 'two', 'SCHILY.xattr.security.a': 'one' } },
      'x',
    );
    archive.entry({ name: 'b', pax: { 'LIBARCHIVE.xattr.user.%41': 'aGk=' } }, 'x');
    archive.entry({ name: 'c' }, 'x');
    archive.finalize();
    writeFileSync(join(folder, 'x.tar'), await buffer(archive));
    const entries = indexed('x.tar');
    const read = (path: string): string[] | undefined =>
      entries.get(path)?.xattrs?.map(([name, value]) => `${name}=${Buffer.from(value)}`);
    expect(read('a')).toEqual(['security.a=one', 'user.b=two']);
    expect(read('b')).toEqual(['user.A=hi']);
    expect(read('c')).toBeUndefined();
  });

  it('reads numbers beyond octal and times before 1970', () => {
    shell(
      'printf x > old; touch -d @-86400.5 old; tar --format=gnu --owner=:3000000000 --group=:4000000000 -cf big.tar old',
    );
    expect(indexed('big.tar').get('old')).toMatchObject({ uid: 3e9, gid: 4e9, mtime: -86401 });
    shell('tar --format=pax --owner=:3000000000 --group=:4000000000 -cf big.tar old');
    expect(indexed('big.tar').get('old')).toMatchObject({ uid: 3e9, gid: 4e9, mtime: -86401 });
  });

  it('never reads contents that are far apart', () => {
    shell('truncate -s 3G zeros; tar --format=gnu -cf - zeros 2> /dev/null | head -c 512 > header');
    const fd = openSync(join(folder, 'huge.tar'), 'w');
    const header = readFileSync(join(folder, 'header'));
    writeSync(fd, header, 0, 512, 0);
    writeSync(fd, header, 0, 512, 512 + 3 * 2 ** 30);
    writeSync(fd, Buffer.alloc(1024), 0, 1024, 2 * (512 + 3 * 2 ** 30));
    closeSync(fd);
    expect(statSync(join(folder, 'huge.tar')).size).toBeGreaterThan(6e9);
    const bytesRead = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
    const before = bytesRead();
    expect([...indexTar(join(folder, 'huge.tar'))].length).toBe(2);
    expect(bytesRead() - before).toBeLessThan(100e6);
  });

  describe('refuses', () => {
    const refusal = (bytes: Uint8Array): string => {
      writeFileSync(join(folder, 'bad.tar'), bytes);
      try {
        for (const _ of indexTar(join(folder, 'bad.tar')));
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        return renderError(error).replace(`${folder}/`, '');
      }
      throw new Error('it was not refused');
    };
    const member = async (name: string, body = 'x'): Promise<Buffer> => {
      const archive = pack();
      archive.entry({ name }, body);
      archive.finalize();
      return await buffer(archive);
    };

    it('a name that leads out of the tree', async () => {
      expect(refusal(await member('a/../../b'))).toBe(
        'bad.tar at byte 0: not a tar file that can be used: the name a/../../b leads out of the tree',
      );
    });

    it('a header that was altered, with its place', async () => {
      const bytes = Buffer.concat([(await member('a')).subarray(0, 1024), await member('b')]);
      bytes[1024] = 0x42;
      expect(refusal(bytes)).toBe(
        'bad.tar at byte 1024: not a tar file that can be used: the checksum of a header is wrong',
      );
    });

    it('an archive that ends early', async () => {
      const bytes = await member('a', 'x'.repeat(2000));
      expect(refusal(bytes.subarray(0, 1100))).toBe(
        'bad.tar at byte 0: not a tar file that can be used: the archive ends within a',
      );
      expect(refusal(bytes.subarray(0, 300))).toBe(
        'bad.tar at byte 0: not a tar file that can be used: the archive ends within a header',
      );
    });

    it('a file that is not there, as a matter of I/O', () => {
      expect(() => [...indexTar(join(folder, 'nothing.tar'))]).toThrow(
        expect.objectContaining({ kind: 'io' }),
      );
    });
  });
});

describe('file names', () => {
  it('are bytes, and survive as text', () => {
    for (const bytes of [
      [0x61, 0xe9, 0x62],
      [0xc3, 0xa9],
      [0xf0, 0x90, 0x80],
      [0xed, 0xb3, 0xa9],
      [0xff, 0xc3],
    ]) {
      expect([...nameToBytes(nameFromBytes(Uint8Array.from(bytes)))]).toEqual(bytes);
    }
    expect(nameFromBytes(Uint8Array.of(0xc3, 0xa9))).toBe('é');
  });

  it('are UTF-8 where the platform says so, and survive where not', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const decoded = (bytes: Uint8Array): string | undefined => {
      try {
        return strict.decode(bytes);
      } catch {
        return undefined;
      }
    };
    const isSame = (bytes: Uint8Array): boolean => {
      const text = nameFromBytes(bytes);
      const platform = decoded(bytes);
      const asText = platform === undefined ? /[\udc80-\udcff]/.test(text) : text === platform;
      return asText && Buffer.compare(nameToBytes(text), bytes) === 0;
    };
    const wrong: number[][] = [];
    for (let first = 0x80; first < 0x100; first++) {
      for (let second = 0; second < 0x100; second++) {
        for (const bytes of [
          [first, second],
          [0x61, first, second, 0x80, 0xbf],
        ])
          if (!isSame(Uint8Array.from(bytes))) wrong.push(bytes);
      }
    }
    expect(wrong).toEqual([]);
    const near = fc.constantFrom(
      0x61,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xe0,
      0xed,
      0xf0,
      0xf4,
      0xf5,
    );
    fc.assert(
      fc.property(fc.array(near), (bytes) => isSame(Uint8Array.from(bytes))),
      { numRuns: 2000 },
    );
  });
});
