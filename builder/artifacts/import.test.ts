// The store from a folder, and cleared again.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collectGarbage } from './gc.ts';
import { importFolder, type Named } from './import.ts';
import { isSha256 } from './sha256.ts';
import { Store } from './store.ts';

let folder: string;
let stick: string;
let store: Store;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
  stick = join(folder, 'stick');
  mkdirSync(join(stick, 'deep', 'er'), { recursive: true });
  store = new Store(join(folder, 'store'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function named(content: string, sized = true): Named {
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (!isSha256(sha256)) throw new Error('no digest');
  return { name: `the ${content}`, sha256, ...(sized ? { size: content.length } : {}) };
}

function take(wanted: readonly Named[], from = stick) {
  return importFolder(from, wanted, store, { signal: new AbortController().signal, say: () => {} });
}

test('takes what is wanted by its digest, under any name, and nothing else', async () => {
  writeFileSync(join(stick, 'a.deb'), 'kernel');
  writeFileSync(join(stick, 'deep', 'er', 'renamed'), 'shell');
  writeFileSync(join(stick, 'same-size'), 'kernal');
  writeFileSync(join(stick, 'stranger'), 'something else');
  writeFileSync(join(folder, 'outside'), 'linked');
  symlinkSync(join(folder, 'outside'), join(stick, 'link'));
  const wanted = [named('kernel'), named('shell', false), named('linked'), named('absent')];
  const { taken, missing } = await take(wanted);
  expect(taken.map(({ name }) => name)).toEqual(['the kernel', 'the shell']);
  expect(missing.map(({ name }) => name)).toEqual(['the linked', 'the absent']);
  for (const one of taken) await store.need(one.sha256, one.name);
  expect(readdirSync(join(store.root, 'sha256'))).toHaveLength(2);
  expect(await take(taken)).toEqual({ taken: [], missing: [] });
});

test('a folder that is not there is said', async () => {
  await expect(take([named('kernel')], join(folder, 'gone'))).rejects.toMatchObject({
    kind: 'input',
    problems: [{ what: 'a folder that cannot be read', where: join(folder, 'gone') }],
  });
});

test('what no lock names is cleared after a day, and so is what was left of downloads', async () => {
  const [kept, other] = [await store.put(Buffer.from('kept')), await store.put(Buffer.from('other'))];
  writeFileSync(join(await store.incoming(), 'left.tmp'), 'left');
  const keep = new Set([kept.sha256]);
  const later = Date.now() + 25 * 60 * 60 * 1000;
  expect(await collectGarbage(store, keep, { dry: false })).toEqual({ files: 0, bytes: 0 });
  expect(await collectGarbage(store, keep, { dry: true, now: later })).toEqual({ files: 2, bytes: 9 });
  expect(existsSync(store.pathOf(other.sha256))).toBe(true);
  expect(await collectGarbage(store, keep, { dry: false, now: later })).toEqual({ files: 2, bytes: 9 });
  expect(existsSync(store.pathOf(other.sha256))).toBe(false);
  expect(readdirSync(await store.incoming())).toEqual([]);
  expect(await store.find(kept.sha256)).toBe(store.pathOf(kept.sha256));
});
