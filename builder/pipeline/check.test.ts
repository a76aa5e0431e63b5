import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { compareFolders } from './check.ts';

let work = '';
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'edgekiln-check-test-'));
  for (const name of ['a', 'b']) {
    mkdirSync(join(work, name));
    writeFileSync(join(work, name, 'x.zip'), Buffer.alloc(5_000_000, 1));
    writeFileSync(join(work, name, '.edgekiln-x.json'), name);
  }
});
afterEach(() => rmSync(work, { recursive: true }));

const compare = () => compareFolders(join(work, 'a'), join(work, 'b'), new AbortController().signal);

it('equal folders are equal, whatever their records say', async () => {
  expect(await compare()).toEqual({ files: 1, bytes: 5_000_000, difference: undefined });
});

it('names the first byte that differs', async () => {
  const other = Buffer.alloc(5_000_000, 1);
  other[4_500_001] = 7;
  writeFileSync(join(work, 'b', 'x.zip'), other);
  const what = `first ${'01'.repeat(16)}, second 07${'01'.repeat(15)}`;
  expect((await compare()).difference).toEqual({ file: 'x.zip', offset: 4_500_001, what });
});

it('names the end of a file that is shorter, and a file that one lacks', async () => {
  writeFileSync(join(work, 'b', 'x.zip'), Buffer.alloc(4_999_999, 1));
  expect((await compare()).difference).toMatchObject({ offset: 4_999_999, what: 'first 01, second its end' });
  writeFileSync(join(work, 'a', 'a.bmap'), '');
  expect((await compare()).difference).toMatchObject({
    file: 'a.bmap',
    what: 'only the first build made it',
  });
});
