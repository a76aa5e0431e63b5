import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Failure } from './errors.ts';
import { defaultPersist, type PersistLine, parsePersist, renderPersist } from './persist.ts';

test('the default list reads back', () => {
  expect(parsePersist(renderPersist(defaultPersist))).toEqual(defaultPersist);
});

const line: fc.Arbitrary<PersistLine> = fc.record({
  kind: fc.constantFrom('dir', 'copy'),
  path: fc
    .array(fc.stringMatching(/^[A-Za-z0-9_@+-][A-Za-z0-9._@+-]{0,8}$/), { minLength: 1, maxLength: 4 })
    .map((parts) => `/${parts.join('/')}`),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xfffffffe }),
  gid: fc.integer({ min: 0, max: 0xfffffffe }),
});

test('every line reads back, here and in a shell', () => {
  fc.assert(
    fc.property(line, (one) => {
      expect(parsePersist(renderPersist([one]))).toEqual([one]);
    }),
  );
  const lines = fc.sample(line, 50);
  const shell = execFileSync(
    'sh',
    ['-c', 'while read -r k p m o; do case $k in dir|copy) echo "$k|$p|$m|$o";; esac; done'],
    {
      input: renderPersist(lines),
      encoding: 'utf8',
    },
  );
  const want = lines.map(
    (l) => `${l.kind}|${l.path}|${l.mode.toString(8).padStart(4, '0')}|${l.uid}:${l.gid}\n`,
  );
  expect(shell).toBe(want.join(''));
});

test.each([
  ['dir /srv', 'a line has four fields parted by single blanks'],
  ['dir  /srv 0755 0:0', 'a line has four fields parted by single blanks'],
  ['dir /srv 0755 0:0 # why', 'a line has four fields parted by single blanks'],
  ['link /srv 0755 0:0', "'link' is neither dir nor copy"],
  ['dir srv 0755 0:0', "'srv' is not an absolute path of letters, digits and ._@+-"],
  ['dir / 0755 0:0', "'/' is not an absolute path of letters, digits and ._@+-"],
  ['dir /srv/ 0755 0:0', "'/srv/' is not an absolute path of letters, digits and ._@+-"],
  ['dir /srv/$(id) 0755 0:0', "'/srv/$(id)' is not an absolute path of letters, digits and ._@+-"],
  ['dir /srv/../etc 0755 0:0', "'/srv/../etc' holds . or .."],
  ['dir /srv 755 0:0', "'755' is not a mode of four octal digits"],
  ['dir /srv 0798 0:0', "'0798' is not a mode of four octal digits"],
  ['dir /srv 0755 root:root', "'root:root' is not UID:GID in numbers"],
  ['dir /srv 0755 0:4294967295', "'0:4294967295' is not UID:GID in numbers"],
  ['dir /home 0755 0:0', '/home is listed twice'],
  ['copy /home/me 0755 0:0', '/home/me is inside of /home, which is kept already'],
  ['dir /etc 0755 0:0', '/etc holds /etc/machine-id, which is listed before it'],
])('%s is refused', (bad, what) => {
  const text = `copy /etc/machine-id 0444 0:0\n\n# people\ndir /home 0755 0:0\n${bad}\n`;
  expect(() => parsePersist(text, 'p.conf')).toThrow(
    expect.objectContaining({
      kind: 'input',
      problems: [expect.objectContaining({ what, where: 'p.conf:5' })],
    }),
  );
});

test('all bad lines are named at once', () => {
  try {
    parsePersist('dir\ncopy /a 0644 0:0\nx\n');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    if (error instanceof Failure) {
      expect(error.problems.map((p) => p.where)).toEqual([
        '/etc/edgekiln/persist.conf:1',
        '/etc/edgekiln/persist.conf:3',
      ]);
    }
  }
});
