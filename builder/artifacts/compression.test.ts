import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { type Compression, compressionOf, decompress } from './compression.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const content = Buffer.from('the same line over and over\n'.repeat(40_000));
const compressors: Record<Compression, (bytes: Buffer) => Buffer> = {
  none: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  xz: (bytes) => execFileSync('xz', ['-c'], { input: bytes }),
  zstd: (bytes) => execFileSync('zstd', ['-qc'], { input: bytes }),
};

let count = 0;
function fileOf(bytes: Buffer): string {
  const file = join(folder, `file-${++count}`);
  writeFileSync(file, bytes);
  return file;
}

describe.each(Object.entries(compressors))('%s', (name, compress) => {
  const packed = compress(content);

  test('is recognised and unpacked, from the middle of a file too', async () => {
    const file = fileOf(Buffer.concat([Buffer.from('before'), packed, Buffer.from('after')]));
    expect(await compressionOf(file, 6)).toBe(name);
    await decompress({ file, offset: 6, length: packed.length }, `${file}.out`, { limit: content.length });
    expect(readFileSync(`${file}.out`).equals(content)).toBe(true);
  });

  test('that unpacks to more than it may is refused', async () => {
    const file = fileOf(packed);
    const limit = content.length - 1;
    await expect(
      decompress({ file, offset: 0, length: packed.length }, `${file}.out`, { limit }),
    ).rejects.toMatchObject({
      kind: 'input',
      problems: [
        {
          what: 'an archive that cannot be read',
          where: file,
          why: `it unpacks to more than ${limit} bytes`,
        },
      ],
    });
    expect(existsSync(`${file}.out`) ? statSync(`${file}.out`).size : 0).toBeLessThanOrEqual(limit);
  });

  if (name === 'none') return;
  test('that is cut short is refused', async () => {
    const file = fileOf(packed.subarray(0, packed.length - 20));
    const extent = { file, offset: 0, length: packed.length - 20 };
    await expect(decompress(extent, `${file}.out`, { limit: content.length })).rejects.toMatchObject({
      kind: 'input',
      problems: [
        {
          what: 'an archive that cannot be read',
          where: file,
          why: expect.stringMatching(/unexpected|premature/i),
        },
      ],
    });
  });
});

test('nothing is not an archive', async () => {
  const file = fileOf(Buffer.alloc(0));
  await expect(decompress({ file, offset: 0, length: 0 }, `${file}.out`, { limit: 1 })).rejects.toMatchObject(
    {
      problems: [{ why: 'it is empty' }],
    },
  );
});
