import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Threads } from '../pack/threads.ts';
import { ResultStore, resultFolder } from './results.ts';
import { collectUnused } from './unused.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const day = 24 * 60 * 60 * 1000;
const old = new Date(Date.now() - 10 * day);
const before = Date.now() - 7 * day;

it('results that no build used since are removed, one that was used again is kept', async () => {
  const store = new ResultStore(folder);
  const make = async (key: string) => {
    const path = await store.keep('slot', key, async (into) => writeFileSync(join(into, 'slot.json'), '{}'));
    utimesSync(path, old, old);
    return path;
  };
  const [used, left] = [await make('a'.repeat(64)), await make('b'.repeat(64))];
  await store.find('slot', 'a'.repeat(64));
  expect((await collectUnused(folder, { before, dry: true })).files).toBe(2);
  expect(existsSync(left)).toBe(true);
  expect((await collectUnused(folder, { before, dry: false })).bytes).toBeGreaterThan(0);
  expect([existsSync(used), existsSync(left)]).toEqual([true, false]);
  expect(resultFolder('slot', 'a'.repeat(64))).toBe(used.slice(folder.length + 1));
});

it('deflated pieces as well, and nothing that is not ours', async () => {
  mkdirSync(join(folder, 'mine'));
  utimesSync(join(folder, 'mine'), old, old);
  const plain = join(folder, 'plain');
  const threads = new Threads({ count: 1 });
  const job = { at: 0, length: 4, level: 6, folder: join(folder, 'chunks', 'deflate-6-1') };
  const chunkOf = async (text: string) => {
    writeFileSync(plain, text);
    const name = createHash('sha256').update(text).digest('hex');
    await threads.deflate({ ...job, file: plain, name });
    return join(job.folder, name.slice(0, 2), name);
  };
  const [used, left] = [await chunkOf('rye!'), await chunkOf('oat!')];
  for (const path of [used, left]) utimesSync(path, old, old);
  await chunkOf('rye!');
  await threads.close();
  utimesSync(plain, old, old);
  expect((await collectUnused(folder, { before, dry: false })).files).toBe(1);
  expect([used, left, plain, join(folder, 'mine')].map((path) => existsSync(path))).toEqual([
    true,
    false,
    true,
    true,
  ]);
});
