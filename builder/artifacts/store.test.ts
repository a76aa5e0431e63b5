import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sha256 } from './sha256.ts';
import { Store, storeFolder } from './store.ts';

const bytes = Buffer.from('content');
const sha256 = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73' as Sha256;

let folder: string;
let store: Store;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
  store = new Store(folder);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the folder is what the environment says, in this order', () => {
  expect(storeFolder({ EDGEKILN_STORE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
  expect(storeFolder({ EDGEKILN_STORE: '', XDG_CACHE_HOME: '/b' })).toBe('/b/edgekiln');
  expect(storeFolder({})).toMatch(/\/\.cache\/edgekiln$/);
});

test('keeps bytes and streams under their digest, read-only, with nothing left beside', async () => {
  expect(await store.put(bytes)).toEqual({ sha256, size: 7 });
  expect(await store.put(Readable.from([bytes]), sha256)).toEqual({ sha256, size: 7 });
  expect(store.pathOf(sha256)).toBe(join(folder, 'sha256', 'ed', sha256));
  expect(readFileSync(await store.need(sha256, 'x')).equals(bytes)).toBe(true);
  expect(statSync(store.pathOf(sha256)).mode & 0o777).toBe(0o444);
  expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
});

test('does not keep what has another digest', async () => {
  await expect(store.put(Buffer.from('other'), sha256)).rejects.toMatchObject({
    kind: 'io',
    problems: [{ what: 'a file does not have the content it should have' }],
  });
  expect(readdirSync(folder)).toEqual(['incoming']);
  expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
});

test('does not keep half of a stream that fails', async () => {
  const failing = new Readable({
    read() {
      this.push('con');
      this.destroy(new Error('the disk went away'));
    },
  });
  await expect(store.put(failing)).rejects.toThrow('the disk went away');
  expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
});

describe('a file that was spoilt', () => {
  test.each([
    ['cut short', Buffer.from('con')],
    ['changed', Buffer.from('CONTENT')],
    ['emptied', Buffer.alloc(0)],
  ])('%s counts as absent, and is removed', async (_how, spoilt) => {
    await store.put(bytes);
    chmodSync(store.pathOf(sha256), 0o644);
    writeFileSync(store.pathOf(sha256), spoilt);
    const other = new Store(folder);
    for (const which of [store, other]) expect(await which.find(sha256)).toBeUndefined();
    expect(existsSync(store.pathOf(sha256))).toBe(false);
    await expect(store.need(sha256, 'k3s')).rejects.toMatchObject({
      kind: 'dependency',
      problems: [
        { what: 'k3s is not in the store', where: folder, why: `no whole file with sha256 ${sha256}` },
      ],
    });
  });
});

test('many writers of one content do no harm', async () => {
  const large = Buffer.alloc(1 << 20, 7);
  const stores = Array.from({ length: 8 }, () => new Store(folder));
  const pins = await Promise.all(stores.map((one) => one.put(large)));
  const [pin] = pins;
  if (pin === undefined) throw new Error('no pin');
  expect(new Set(pins.map((one) => one.sha256)).size).toBe(1);
  expect(readFileSync(await store.need(pin.sha256, 'x')).equals(large)).toBe(true);
});

describe('a store that cannot be written', () => {
  test('says so, and what to do', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(new Store(join(folder, 'file')).put(bytes)).rejects.toMatchObject({
      kind: 'io',
      problems: [{ what: 'the store cannot be written', fix: expect.stringContaining('EDGEKILN_STORE=DIR') }],
    });
  });

  test('because the disk is full says so, and keeps nothing', async () => {
    const full = new Readable({
      read() {
        this.destroy(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }));
      },
    });
    await expect(store.put(full)).rejects.toMatchObject({
      kind: 'io',
      problems: [{ what: 'the store cannot be written', why: 'ENOSPC: no space left on device, write' }],
    });
    expect(readdirSync(join(folder, 'incoming'))).toEqual([]);
  });
});
