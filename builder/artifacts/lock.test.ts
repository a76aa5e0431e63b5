import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { epochOf, type Lock, lockFileOf, parseLock, renderLock, uncovered, uncoveredFiles } from './lock.ts';
import type { Sha256 } from './sha256.ts';

const sha256 = 'ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73' as Sha256;

const lock: Lock = {
  format: 1,
  debian: [
    {
      suite: 'trixie',
      architecture: 'amd64',
      requested: { install: ['nodejs', 'systemd'], extract: ['shim-signed'] },
      releases: [
        { archive: 'debian', suite: 'trixie', date: '2026-09-12T07:55:41Z', sha256 },
        { archive: 'debian-security', suite: 'trixie-security', date: '2026-11-20T00:12:42Z', sha256 },
      ],
      install: [
        {
          name: 'passwd',
          version: '1:4.17.4-2',
          architecture: 'amd64',
          archive: 'debian',
          path: 'pool/main/s/shadow/passwd_4.17.4-2_amd64.deb',
          size: 7,
          sha256,
        },
      ],
      extract: [],
    },
  ],
  files: [{ name: 'k3s/v1.36.4+k3s1/k3s', size: 9, sha256 }],
};
const request = {
  suite: 'trixie',
  architecture: 'amd64',
  install: ['systemd', 'nodejs'],
  extract: ['shim-signed'],
} as const;

test('stands beside the profile', () => {
  expect(lockFileOf('sites/shop.yaml')).toBe('sites/shop.lock.yaml');
  expect(lockFileOf('shop.yml')).toBe('shop.lock.yaml');
  expect(lockFileOf('shop')).toBe('shop.lock.yaml');
});

test('is read as it was written, one line an artifact', () => {
  const text = renderLock(lock);
  expect(parseLock(text, 'x')).toEqual(lock);
  expect(text.split('\n').filter((line) => line.includes('passwd'))).toHaveLength(1);
  const empty: Lock = { format: 1, debian: [], files: [] };
  expect(parseLock(renderLock(empty), 'x')).toEqual(empty);
});

test('the time of its newest index is the time of the build', () => {
  expect(epochOf(lock.debian[0]!)).toBe(Date.UTC(2026, 10, 20, 0, 12, 42) / 1000);
});

describe('a lock that cannot be read', () => {
  const change = (path: string, value: unknown): string => {
    const data = parse(renderLock(lock));
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    keys.reduce((at, key) => at[key], data)[last] = value;
    return JSON.stringify(data);
  };
  const nines = (word: string) => `[${Array(9).fill(word).join(', ')}]`;
  const bomb = `a: &a ${nines('x')}\nb: &b ${nines('*a')}\nc: &c ${nines('*b')}\nd: ${nines('*c')}\n`;
  const bad: readonly [string, string, string][] = [
    ['not YAML', 'a: [', 'input'],
    ['no lock', 'a: 1', 'input'],
    ['aliases that expand to too much', bomb, 'input'],
    ['a path that leaves the archive', change('debian.0.install.0.path', '../x'), 'input'],
    ['a path inside that leaves the archive', change('debian.0.install.0.path', 'pool/../../x'), 'input'],
    ['an absolute path', change('debian.0.install.0.path', '/etc/passwd'), 'input'],
    ['a digest that is none', change('files.0.sha256', 'ED'), 'input'],
    ['a size that is none', change('files.0.size', -1), 'input'],
    ['an unknown key', change('debian.0.more', 1), 'input'],
    ['a later format', 'format: 2', 'unsupported'],
  ];
  test.each(bad)('%s', (_name, text, kind) => {
    expect(() => parseLock(text, 'shop.lock.yaml')).toThrow(
      expect.objectContaining({ kind, problems: [expect.objectContaining({ where: 'shop.lock.yaml' })] }),
    );
  });
});

describe('what a profile asks for', () => {
  test('is covered in any order', () => {
    expect(uncovered(lock, [request])).toEqual([]);
  });

  test('and is not in the lock is named', () => {
    expect(uncovered(lock, [{ ...request, architecture: 'arm64' }])).toEqual(['trixie arm64 is not locked']);
    expect(uncovered(lock, [{ ...request, install: ['systemd', 'htop'], extract: [] }])).toEqual([
      'trixie amd64: install now has htop',
      'trixie amd64: install no longer has nodejs',
      'trixie amd64: extract no longer has shim-signed',
    ]);
  });

  test('from outside is named too', () => {
    expect(uncoveredFiles(lock, ['k3s/v1.36.4+k3s1/k3s'])).toEqual([]);
    expect(uncoveredFiles(lock, ['k3s/v1.36.5+k3s1/k3s'])).toEqual([
      'k3s/v1.36.5+k3s1/k3s is not locked',
      'k3s/v1.36.4+k3s1/k3s is no longer wanted',
    ]);
  });
});

test('any names and versions are read as they were written', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(text, text, fc.integer({ min: 1 }), (version, name, size) => {
      const [set] = lock.debian;
      const [deb] = set?.install ?? [];
      if (set === undefined || deb === undefined) throw new Error('the lock above has a package');
      const changed: Lock = {
        ...lock,
        debian: [{ ...set, install: [{ ...deb, version }] }],
        files: [{ name, size, sha256 }],
      };
      expect(parseLock(renderLock(changed), 'x')).toEqual(changed);
    }),
  );
});
