// Zip and zst of two small images of one board, by the tools of others: from nothing, from what is kept, from torn pieces.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSums } from '../pack/sums.ts';
import { surveyAgain, surveyImage, writeSurvey } from '../pack/survey.ts';
import { Threads } from '../pack/threads.ts';
import { workshopIn } from '../pipeline/workshop.fixture.ts';
import { bmap } from './bmap.ts';
import { digest } from './digest.ts';
import { zip } from './zip.ts';
import { zst } from './zst.ts';

const MiB = 1024 ** 2;
const work = mkdtempSync(join(tmpdir(), 'edgekiln-packed-'));
const disk = join(work, 'disk');
const maps = join(work, 'maps');
const hostnames = ['one', 'two'];
const size = 52 * MiB;
/** A table, a stamp by which the images differ, a slot over more than one frame, and a tail. */
const mapped = [
  { start: 0, end: 100_000 },
  { start: 3 * MiB, end: 3 * MiB + 65_536 },
  { start: 4 * MiB, end: 18 * MiB + 512 },
  { start: size - 512, end: size },
];

/** Bytes that do not repeat soon and pack a little. */
function bytes(length: number, seed: number): Buffer {
  const block = Buffer.alloc(length);
  for (let at = 0, state = seed; at + 4 <= length; at += 8) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    block.writeUInt32LE(state, at);
  }
  return block;
}

beforeAll(async () => {
  for (const folder of [disk, maps]) mkdirSync(folder);
  const threads = new Threads({ count: 2 });
  const [first = '', second = ''] = hostnames.map((hostname) => join(disk, `${hostname}.img`));
  const image = Buffer.alloc(size);
  for (const [index, { start, end }] of mapped.entries()) bytes(end - start, index + 1).copy(image, start);
  writeFileSync(first, image);
  const part = { start: 4 * MiB, end: 20 * MiB };
  const more = [1, 2, 3, 4].map((number) => join(work, `copy-${number}`));
  const known = await surveyImage(first, { size, mapped }, { threads, part, copies: [second, ...more] });
  for (const copy of more) {
    execFileSync('cmp', [copy, first]);
    rmSync(copy);
  }
  expect(known.part).toBe(
    createHash('sha256')
      .update(image.subarray(4 * MiB, 18 * MiB + 4096))
      .digest('hex'),
  );
  expect(readFileSync(second).equals(image)).toBe(true);
  bytes(65_536, 100).copy(image, 3 * MiB);
  const descriptor = openSync(second, 'r+');
  writeSync(descriptor, image, 3 * MiB, 65_536, 3 * MiB);
  closeSync(descriptor);
  const but = { start: 3 * MiB, end: 3 * MiB + 65_536 };
  const images = { one: known, two: await surveyAgain(second, { size, mapped }, { threads, but, known }) };
  expect(statSync(second).blocks * 512).toBeLessThan(20 * MiB);
  await threads.close();
  await writeSurvey(disk, 'board', { size, mapped, images });
  await bmap.run({ board: 'board', hostnames }, { disk }, workshopIn(maps));
});
afterAll(() => rmSync(work, { recursive: true }));

async function packed(name: string, chunks: string): Promise<string> {
  const result = join(work, name);
  mkdirSync(result);
  const workshop = workshopIn(result);
  const facts = { board: 'board', site: 'bakery', edgekiln: '0', medium: size, epoch: 1_700_000_000 };
  await zip.run({ ...facts, hostnames, level: 6, zlib: '1' }, { disk, bmap: maps, chunks }, workshop);
  await zst.run({ board: 'board', hostnames, level: 3, zstd: '1' }, { disk, chunks }, workshop);
  await workshop.settled();
  return result;
}

const digestsIn = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map(
      (name) =>
        `${name} ${createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex')}`,
    );

const keptFiles = (chunks: string): string[] =>
  readdirSync(chunks, { recursive: true, encoding: 'utf8' })
    .map((name) => join(chunks, name))
    .filter((path) => statSync(path).isFile());

const sumOf = (file: string): string => execFileSync('sha256sum', [file], { encoding: 'utf8' }).slice(0, 64);

it('digests and block maps are those that others find', async () => {
  const sums = join(work, 'sums');
  mkdirSync(sums);
  await digest.run({ board: 'board', hostnames }, { disk }, workshopIn(sums));
  for (const hostname of hostnames) {
    const image = join(disk, `${hostname}.img`);
    expect((await readSums(sums, 'board'))[`${hostname}.img`]).toBe(sumOf(image));
    const copy = join(work, 'copy');
    execFileSync('bmaptool', ['copy', '--bmap', join(maps, `${hostname}.img.bmap`), image, copy], {
      stdio: 'pipe',
    });
    execFileSync('cmp', [image, copy]);
    rmSync(copy);
  }
});

it('zip and zst hold the images, and their bytes do not tell what was kept from before', async () => {
  const chunks = join(work, 'chunks');
  const cold = await packed('cold', chunks);
  for (const hostname of hostnames) {
    const image = join(disk, `${hostname}.img`);
    const same = 'cmp - "$2"';
    execFileSync('unzip', ['-tq', join(cold, `${hostname}.img.zip`)], { stdio: 'pipe' });
    for (const [unpack, file] of [
      [`unzip -p "$1" ${hostname}.img`, `${hostname}.img.zip`],
      ['zstd -dcq "$1"', `${hostname}.img.zst`],
    ])
      execFileSync('sh', ['-c', `${unpack} | ${same}`, 'sh', join(cold, file ?? ''), image]);
  }
  for (const kind of ['zip', 'zst'])
    for (const [name, sum] of Object.entries(await readSums(cold, `board-${kind}`)))
      expect(sum).toBe(sumOf(join(cold, name)));
  const before = new Map(keptFiles(chunks).map((path) => [path, statSync(path).ino]));
  expect(digestsIn(await packed('warm', chunks))).toEqual(digestsIn(cold));
  expect(keptFiles(chunks).map((path) => statSync(path).ino)).toEqual([...before.values()]);
  // The table, two stamps, the slot, the tail, zeros.
  expect([...before.keys()].filter((path) => path.includes('deflate-')).length).toBe(1 + 2 + 15 + 1 + 1);
  expect([...before.keys()].filter((path) => path.includes('zstd-')).length).toBe(2 + 1 + 1 + 1);
});

it('pieces that were torn are made anew', async () => {
  const chunks = join(work, 'chunks');
  for (const [index, path] of keptFiles(chunks).entries()) {
    if (index % 3 === 0) truncateSync(path, Math.floor(statSync(path).size / 2));
    else if (index % 3 === 1)
      writeFileSync(
        path,
        readFileSync(path).map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
      );
    else truncateSync(path, 0);
  }
  expect(digestsIn(await packed('mended', chunks))).toEqual(digestsIn(join(work, 'cold')));
});

it('of an image that was changed after its survey nothing is packed, and nothing is kept', async () => {
  const chunks = join(work, 'chunks of a changed image');
  const changed = join(work, 'changed');
  const result = join(work, 'of a changed image');
  for (const folder of [changed, result]) mkdirSync(folder);
  for (const name of readdirSync(disk)) copyFileSync(join(disk, name), join(changed, name));
  const image = join(changed, 'one.img');
  const descriptor = openSync(image, 'r+');
  writeSync(descriptor, Buffer.from('x'), 0, 1, 6 * MiB);
  closeSync(descriptor);
  const one = { board: 'board', hostnames: ['one'], level: 3, zstd: '1' };
  await expect(zst.run(one, { disk: changed, chunks }, workshopIn(result))).rejects.toMatchObject({
    kind: 'io',
    problems: [{ what: 'an image cannot be packed', where: image, why: 'the file is not as it was' }],
  });
  const kept = keptFiles(chunks).length;
  expect(readdirSync(result)).toEqual([]);
  await zst.run(one, { disk, chunks }, workshopIn(result));
  execFileSync('sh', [
    '-c',
    'zstd -dcq "$1" | cmp - "$2"',
    'sh',
    join(result, 'one.img.zst'),
    join(disk, 'one.img'),
  ]);
  expect(kept).toBeLessThan(keptFiles(chunks).length);
});
