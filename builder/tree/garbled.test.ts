// Tars whose headers say what cannot be: each is refused with its place, none is read as something else.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { indexTar } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-garbled-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'garbled.tar');
const end = Buffer.alloc(1024);

interface Fields {
  readonly name?: string;
  readonly target?: string;
  readonly size?: bigint;
  readonly uid?: bigint;
  readonly mtime?: bigint;
  readonly major?: bigint;
  /** The four pairs, the flag and the real size of GNU's old sparse files. */
  readonly sparse?: { readonly pairs: readonly (readonly [bigint, bigint])[]; readonly size: bigint };
}

/** Octal, or base 256 where that does not do. */
function put(block: Buffer, at: number, length: number, value: bigint): void {
  const digits = value.toString(8);
  if (value >= 0n && digits.length < length) {
    block.write(digits.padStart(length - 1, '0'), at, 'latin1');
    return;
  }
  for (let i = length - 1, left = value; i >= 0; i--, left >>= 8n)
    block.writeUInt8(Number(BigInt.asUintN(8, left)), at + i);
  block.writeUInt8(value < 0n ? 0xff : 0x80, at);
}

function header(type: string, fields: Fields = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write(fields.name ?? 'name', 0, 'latin1');
  put(block, 100, 8, 0o644n);
  put(block, 108, 8, fields.uid ?? 0n);
  put(block, 116, 8, 0n);
  put(block, 124, 12, fields.size ?? 0n);
  put(block, 136, 12, fields.mtime ?? 1n);
  block.write(`        ${type}${fields.target ?? ''}`, 148, 'latin1');
  block.write('ustar  ', 257, 'latin1');
  put(block, 329, 8, fields.major ?? 0n);
  put(block, 337, 8, 0n);
  for (const [i, [offset, length]] of (fields.sparse?.pairs ?? []).entries()) {
    put(block, 386 + i * 24, 12, offset);
    put(block, 398 + i * 24, 12, length);
  }
  if (fields.sparse) put(block, 483, 12, fields.sparse.size);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function member(type: string, text: string): Buffer {
  const body = Buffer.alloc(512);
  body.write(text);
  return Buffer.concat([header(type, { size: BigInt(text.length) }), body]);
}

/** An extended header of one record. */
function record(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length > length) length++;
  return member('x', `${length}${rest}`);
}

function index(...blocks: readonly Buffer[]): string[] {
  writeFileSync(file, Buffer.concat(blocks));
  return [...indexTar(file)].map(({ path }) => path);
}

const refused = (why: string, at: number) =>
  expect.objectContaining({
    kind: 'input',
    message: expect.stringContaining(`not a tar file that can be used: ${why}`),
    problems: [expect.objectContaining({ where: `${file} at byte ${at}` })],
  });

describe('the index of a garbled tar', () => {
  // The header after it would be itself: this went on for ever.
  it.each(['0', 'x', 'L', '1', '2', '5', 'D', 'V', 'S'])('refuses a size below zero (type %s)', (type) => {
    expect(() => index(header(type, { size: -512n }), end)).toThrow(
      refused('a header says a size of -512 bytes', 0),
    );
  });

  it('refuses owners, devices and times that would become others', () => {
    const big = 2n ** 32n;
    for (const blocks of [
      [header('0', { uid: big })],
      [header('0', { uid: -1n })],
      [header('3', { major: big })],
    ])
      expect(() => index(...blocks, end)).toThrow(refused('a number of name is out of range: ', 0));
    expect(() => index(record('gid', '4294967296'), header('0'), end)).toThrow(
      refused('a number of name is out of range: owner 0, group 4294967296, device 0:0', 1024),
    );
    expect(() => index(header('0', { mtime: 2n ** 85n }), end)).toThrow(
      refused('the time 3.8685626227668134e+25 of name is out of range', 0),
    );
    expect(() => index(record('mtime', '9'.repeat(400)), header('0'), end)).toThrow(
      refused('the time Infinity of name is out of range', 1024),
    );
    expect(index(header('0', { uid: big - 2n, mtime: -(2n ** 40n) }), end)).toEqual(['name']);
  });

  it('refuses an old sparse file of no size, or with a piece that goes back', () => {
    expect(() => index(header('S', { sparse: { pairs: [], size: -5n } }), end)).toThrow(
      refused('name: its size -5 is out of range', 0),
    );
    const pairs = [
      [0n, 100n],
      [100n, -50n],
      [60n, 90n],
    ] as const;
    const sparse = header('S', { size: 150n, sparse: { pairs, size: 1000n } });
    expect(() => index(sparse, Buffer.alloc(512, 1), end)).toThrow(
      refused('a sparse map is not in order', 0),
    );
  });

  // A kernel and e2fsck take such a link for a broken inode.
  it('refuses a symbolic link whose target holds a NUL byte', () => {
    expect(() => index(record('linkpath', 'a\0b'), header('2'), end)).toThrow(
      refused('the target of the symbolic link name holds a NUL byte', 1024),
    );
  });

  it('refuses an archive that ends within a member without contents, or before the one spoken of', () => {
    for (const type of ['D', 'V'])
      expect(() => index(header(type, { size: 4096n }))).toThrow(
        refused('the archive ends within a member', 512),
      );
    for (const said of [record('path', 'b'), member('L', 'long')])
      expect(() => index(header('0'), said, end)).toThrow(
        refused('the archive ends before the member that was spoken of', 1536),
      );
    expect(index(header('0'), record('path', 'b'), header('0'), end)).toEqual(['name', 'b']);
  });

  // Other programs take these, and what was behind the cut is not there.
  it('refuses an archive that was cut where a member begins, and one that goes on behind a block of zeros', () => {
    const zeros = Buffer.alloc(512);
    for (const blocks of [[], [header('0')], [header('0'), member('0', 'text'), header('5')]]) {
      const at = Buffer.concat(blocks).length;
      expect(() => index(...blocks)).toThrow(refused('it has no end (blocks of zeros): it was cut', at));
      expect(index(...blocks, end)).toHaveLength(blocks.length);
      // GNU tar warns, and takes it.
      expect(index(...blocks, zeros)).toHaveLength(blocks.length);
      expect(index(...blocks, end, zeros)).toHaveLength(blocks.length);
      expect(() => index(...blocks, zeros, header('0'), end)).toThrow(
        refused('there is more behind a single block of zeros, which is not the end of an archive', at + 512),
      );
    }
    // What the refusal says to do, also where the last block is not filled.
    const unfilled = member('0', 'text').subarray(0, 516);
    expect(() => index(unfilled)).toThrow(refused('it has no end', 516));
    expect(index(unfilled, end)).toEqual(['name']);
  });

  it('refuses a sparse map with a piece that is no whole blocks, unless it is the last', () => {
    const sparse = (second: bigint, third: bigint) => {
      const pairs = [
        [0n, 512n],
        [1024n, second],
        [4096n, third],
        [5000n, 0n],
      ] as const;
      const size = 512n + second + third;
      return [header('S', { size, sparse: { pairs, size: 5000n } }), Buffer.alloc(1536, 1), end];
    };
    expect(index(...sparse(512n, 100n))).toEqual(['name']);
    expect(() => index(...sparse(100n, 512n))).toThrow(
      refused('name: a piece of a sparse map is no multiple of 512 bytes', 0),
    );
  });

  it('steps over the bytes of a hard link, whatever they begin with, and where there are none', () => {
    const link = (size: number) => header('1', { name: 'link', target: 'name', size: BigInt(size) });
    const inner = Buffer.concat([header('0', { name: 'inner' }), end]);
    const next = header('0', { name: 'next' });
    const comment = record('comment', 'pax');
    for (const bytes of [Buffer.alloc(1536), Buffer.alloc(1536, 1), Buffer.alloc(512, 'x')])
      for (const before of [[], [comment]])
        expect(index(...before, link(bytes.length - 7), bytes, next, end)).toEqual(['link', 'next']);
    // Only a pax archive has the bytes of a tar there; a size alone is what older ones have.
    expect(index(comment, link(inner.length), inner, next, end)).toEqual(['link', 'next']);
    expect(index(link(5), next, header('0', { name: 'last' }), end)).toEqual(['link', 'next', 'last']);
    expect(index(link(5), end)).toEqual(['link']);
    expect(index(comment, link(5), member('0', 'text'), end)).toEqual(['link', 'name']);
  });
});
