import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { initrdPackage } from '../artifacts/debian/initrd-package.ts';
import { controlOf, unpackData } from './deb.ts';
import { indexTar } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const control =
  'Package: box\nVersion: 1.0-1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: a box\n';

/** A package as dpkg-deb makes it. */
function build(compression: string): string {
  const root = join(folder, compression);
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  writeFileSync(join(root, 'DEBIAN/control'), control);
  writeFileSync(join(root, 'usr/bin/box'), 'content');
  const deb = join(folder, `${compression}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '-b', root, deb]);
  return deb;
}

describe.each(['xz', 'zstd', 'gzip', 'none'])('a package with %s', (compression) => {
  const deb = build(compression);

  test('gives its control file', async () => {
    expect(await controlOf(deb)).toBe(control);
  });

  test('gives its files as a tar that can be indexed', async () => {
    await unpackData(deb, `${deb}.tar`);
    const file = [...indexTar(`${deb}.tar`)].find((entry) => entry.path === 'usr/bin/box');
    const bytes = file?.kind === 'file' ? file.segments[0]?.bytes : undefined;
    if (bytes?.at !== 'file') throw new Error('usr/bin/box is not a file in the tar');
    const text = readFileSync(bytes.file)
      .subarray(bytes.offset, bytes.offset + bytes.length)
      .toString();
    expect(text).toBe('content');
  });
});

describe('what is not a package', () => {
  const good = readFileSync(build('gzip'));
  const bad: readonly [string, Buffer, string][] = [
    ['a web page', Buffer.from('<html>'), 'it does not begin as an ar archive'],
    ['a cut one', good.subarray(0, good.length - 100), 'it is broken at byte '],
    ['one without control', good.subarray(0, 72), 'it has no control.tar'],
  ];
  test.each(bad)('%s', async (name, bytes, why) => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    await expect(controlOf(file)).rejects.toMatchObject({
      kind: 'input',
      problems: [
        { what: 'not a Debian package that can be read', where: file, why: expect.stringContaining(why) },
      ],
    });
  });
});

test('dpkg-deb reads the package made here, which is the same every time', async () => {
  const made = await initrdPackage();
  const file = join(folder, made.file);
  writeFileSync(file, made.bytes);
  const field = (name: string) => execFileSync('dpkg-deb', ['-f', file, name], { encoding: 'utf8' }).trim();
  expect(field('Package')).toBe('edgekiln-initrd');
  expect(field('Provides')).toBe('linux-initramfs-tool');
  expect(execFileSync('dpkg-deb', ['-c', file], { encoding: 'utf8' })).toMatch(/^drwxr-xr-x 0\/0 .* \.\/\n$/);
  expect((await initrdPackage()).bytes).toEqual(made.bytes);
});
