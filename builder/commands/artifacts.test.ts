// The verb artifacts, as it is typed: exit codes and what is printed.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Archive, startArchive } from '../artifacts/debian/archive.fixture.ts';
import { defaultPackages } from '../artifacts/debian/packages.ts';
import { runCommandLine } from './frame.ts';
import { verbs } from './verbs.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
const profile = join(folder, 'shop.yaml');
const lock = join(folder, 'shop.lock.yaml');
const packages = [...defaultPackages, 'linux-image-amd64', 'shim-signed', 'grub-efi-amd64-signed'];
let archive: Archive;

beforeAll(async () => {
  archive = await startArchive({ trixie: packages.map((Package) => ({ Package })) });
  process.env['EDGEKILN_DEBIAN_MIRROR'] = archive.mirrors.debian;
  process.env['EDGEKILN_DEBIAN_KEYRING'] = archive.keyring;
  process.env['EDGEKILN_STORE'] = join(folder, 'store');
  writeFileSync(
    profile,
    'apiVersion: edgekiln/v1\nsite: { name: shop }\nk3s: { standIn: true }\nboard: qemu-x86_64\ndevices: [{ name: one }]\n',
  );
});
afterAll(async () => {
  for (const name of ['EDGEKILN_DEBIAN_MIRROR', 'EDGEKILN_DEBIAN_KEYRING', 'EDGEKILN_STORE'])
    delete process.env[name];
  await archive.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function type(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const exit = await runCommandLine(['artifacts', ...args], verbs, {
    version: '0',
    signal: new AbortController().signal,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { exit, out: out.trimEnd(), err: err.trimEnd() };
}

test('without a lock, what needs one says how to make it', async () => {
  for (const args of [
    ['list', profile],
    ['import', profile, folder],
    ['gc', profile],
  ]) {
    expect(await type(...args)).toMatchObject({
      exit: 2,
      out: '',
      err: `${lock}: there is no lock file\n  to do: edgekiln artifacts lock ${profile}`,
    });
  }
});

test('lock, list, fetch, import, gc', async () => {
  const count = packages.length;
  const first = await type('lock', profile);
  expect([first.exit, first.out]).toEqual([0, `${lock}: written: ${count} packages, 0 files, 1 MiB`]);
  const text = readFileSync(lock, 'utf8');
  expect((await type('lock', profile)).out).toContain(`fits the profile as it is: ${count} packages`);
  expect((await type('lock', '--update', profile)).exit).toBe(0);
  expect(readFileSync(lock, 'utf8')).toBe(text);

  const before: { items: { present: boolean }[] } = JSON.parse((await type('list', profile, '--json')).out);
  expect(before.items.filter(({ present }) => present)).toHaveLength(0);
  expect(await type('fetch', profile)).toMatchObject({
    exit: 0,
    out: `${join(folder, 'store')}: holds all ${count} packages and 0 files, 1 MiB`,
  });
  const after = (await type('list', profile)).out.split('\n');
  expect(after).toHaveLength(count);
  expect(after.every((line) => /^there {4}[0-9a-f]{12} {2}\S+ 1$/.test(line))).toBe(true);

  process.env['EDGEKILN_STORE'] = join(folder, 'second');
  const brought = await type('import', profile, join(folder, 'store'));
  expect(brought.out).toBe(`${count} taken, 0 still missing`);
  expect((await type('gc', profile, '--dry-run')).out).toBe(
    'artifacts: 0 files, 0 MiB would be removed\nresults of stages: 0 files, 0 MiB would be removed',
  );
});

test('a mirror that is gone ends with 5, an unknown board with 2, and nothing is written', async () => {
  const other = join(folder, 'other.yaml');
  writeFileSync(other, readFileSync(profile, 'utf8').replace('qemu-x86_64', 'toaster'));
  const unknown = await type('lock', other);
  expect([unknown.exit, unknown.err]).toEqual([2, expect.stringContaining('there is no board toaster')]);
  writeFileSync(other, readFileSync(profile, 'utf8'));
  process.env['EDGEKILN_DEBIAN_MIRROR'] = 'http://127.0.0.1:1/debian';
  const gone = await type('lock', other);
  expect([gone.exit, gone.err]).toEqual([
    5,
    expect.stringContaining('the index of Debian trixie cannot be had'),
  ]);
  expect(() => readFileSync(join(folder, 'other.lock.yaml'))).toThrow('ENOENT');
});
