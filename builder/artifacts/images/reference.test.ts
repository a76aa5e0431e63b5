import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseReference, printReference } from './reference.ts';

const hex = `sha256:${'a1'.repeat(32)}`;

describe('a name of an image', () => {
  test.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['library/busybox', 'docker.io/library/busybox:latest'],
    ['docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['index.docker.io/library/busybox:1', 'docker.io/library/busybox:1'],
    ['rancher/mirrored-pause:3.6', 'docker.io/rancher/mirrored-pause:3.6'],
    ['ghcr.io/a/b', 'ghcr.io/a/b:latest'],
    ['localhost/a', 'localhost/a:latest'],
    ['localhost:5000/a/b:c', 'localhost:5000/a/b:c'],
    ['a:5000/b', 'a:5000/b:latest'],
    ['[::1]:5000/a', '[::1]:5000/a:latest'],
    [`busybox@${hex}`, `docker.io/library/busybox@${hex}`],
    [`quay.io/a/b:1@${hex}`, `quay.io/a/b:1@${hex}`],
    ['a__b/c-d.e:V1_.-', 'docker.io/a__b/c-d.e:V1_.-'],
  ])('%s is %s', (written, full) => {
    const reference = parseReference(written);
    expect(reference && printReference(reference)).toBe(full);
    const again = parseReference(full);
    expect(again && printReference(again)).toBe(full);
  });

  test.each([
    '',
    'Busybox',
    'a/B',
    'a:',
    'a b',
    '/a',
    'a//b',
    'a@sha256:1',
    'a:b:c',
    '-a',
    `a@md5:${'0'.repeat(32)}`,
  ])('%j is none', (text) => {
    expect(parseReference(text)).toBeUndefined();
  });
});

const word = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,4})?$/);
const registry = fc.option(fc.constantFrom('ghcr.io', 'localhost', 'localhost:5000', 'docker.io'), {
  nil: undefined,
});
const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}$/), { nil: undefined });

test('a full name stays as it is, whatever it was made of', () => {
  fc.assert(
    fc.property(
      registry,
      fc.array(word, { minLength: 1, maxLength: 3 }),
      tag,
      fc.boolean(),
      (host, path, end, pinned) => {
        const written = [
          ...(host === undefined ? [] : [host, '/']),
          path.join('/'),
          ...(end === undefined ? [] : [':', end]),
          ...(pinned ? ['@', hex] : []),
        ].join('');
        const reference = parseReference(written);
        if (reference === undefined) throw new Error(`${written} is a name`);
        expect(parseReference(printReference(reference))).toEqual(reference);
        expect(reference.tag ?? reference.digest).toBeDefined();
      },
    ),
  );
});
