import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, Failure, renderError } from '../../formats/errors.ts';
import { loadProfile, parseProfile } from './load.ts';
import { largestProfile } from './text.ts';

const boards = ['board-a'];
const encode = (text: string) => new TextEncoder().encode(text);
const smallest = `apiVersion: edgekiln/v1
site: {name: shop}
board: board-a
k3s: {standIn: true}
devices: [{name: a}]
`;

/** What a person sees of bytes that are no profile; checks the exit code. */
function refusal(content: string | Uint8Array): string {
  try {
    parseProfile(typeof content === 'string' ? encode(content) : content, 'p.yaml', boards);
  } catch (error) {
    expect(exitCodeOf(error)).toBe(2);
    return renderError(error);
  }
  throw new Error('accepted');
}

describe('text that is no YAML of ours', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['nothing', '', 'p.yaml: the profile is empty\n  to do: write one to start from: edgekiln init'],
    [
      'comments only',
      '# hm\n',
      'p.yaml: the profile is empty\n  to do: write one to start from: edgekiln init',
    ],
    [
      'a byte order mark',
      new Uint8Array([0xef, 0xbb, 0xbf, 0x61]),
      'p.yaml:1:1: the text starts with a byte order mark\n  to do: save it as UTF-8 without a mark (BOM)',
    ],
    [
      'UTF-16',
      new Uint8Array([0xff, 0xfe, 0x61, 0]),
      'p.yaml:1:1: the text is UTF-16\n  to do: save it as UTF-8',
    ],
    [
      'latin 1',
      new Uint8Array([...encode('a: b\nc: M'), 0xfc, ...encode('ller\n')]),
      'p.yaml:2:5: not UTF-8: the byte 0xfc\n  to do: save it as UTF-8',
    ],
    [
      'a cut character at the end',
      new Uint8Array([...encode('a: b\nc: '), 0xe2, 0x82]),
      'p.yaml:2:4: not UTF-8: the byte 0xe2\n  to do: save it as UTF-8',
    ],
    ['a zero byte', encode('a: \u0000'), 'p.yaml:1:4: a zero byte: this is not a text file'],
    [
      'too large',
      new Uint8Array(largestProfile + 1).fill(0x20),
      'p.yaml: too large for a profile\n  because: a profile has at most 1024 KiB\n  to do: keep contents in files beside the profile',
    ],
    [
      'a tab',
      'site:\n\tname: a\n',
      'p.yaml:2:1: a tab where YAML wants spaces\n    2 | \tname: a\n      | ^\n  to do: indent with spaces',
    ],
    [
      'a colon in a value',
      'a: b: c\n',
      'p.yaml:1:4: not YAML: a key inside of a value\n    1 | a: b: c\n      |    ^\n  because: a value holds ": ", or this line is indented further than its neighbours\n  to do: put the value in quotes, or align the line',
    ],
    ['an open quote', 'a: "b\n', 'p.yaml:2:1: not YAML: Missing closing "quote\n    2 | \n      | ^'],
    [
      'a second document',
      `${smallest}---\na: b\n`,
      'p.yaml:6:1: a second document starts here\n    6 | ---\n      | ^\n  because: a profile is one document: one site\n  to do: give it a file of its own',
    ],
    [
      'a tag',
      'a: !secret b\n',
      'p.yaml:1:4: tags are not read\n    1 | a: !secret b\n      |    ^^^^^^^\n  to do: write plain values',
    ],
    [
      'YAML 1.1',
      '%YAML 1.1\n---\na: yes\n',
      'p.yaml:1:1: a profile is YAML 1.2\n    1 | %YAML 1.1\n      | ^^^^^\n  to do: remove the %YAML line',
    ],
    [
      'an alias without its anchor',
      'a: *b\n',
      'p.yaml:1:4: the anchor &b does not exist\n    1 | a: *b\n      |    ^^\n  because: an alias needs its anchor before it',
    ],
    [
      'an alias in itself',
      'a: &b [*b]\n',
      'p.yaml:1:8: the alias *b holds itself\n    1 | a: &b [*b]\n      |        ^^\n  because: it would never end',
    ],
    [
      'no map',
      'hello\n',
      'p.yaml:1:1: the profile must be a map of keys, not text\n    1 | hello\n      | ^\n  because: A site, as edgekiln builds it.',
    ],
  ])('%s', (_, content, expected) => {
    expect(refusal(content)).toBe(expected);
  });

  it('shows a duplicate key beside what else is wrong', () => {
    expect(refusal(`${smallest}board: board-a\nslot: 3\n`)).toBe(
      [
        'p.yaml:6:1: the key board is there twice',
        '    6 | board: board-a',
        '      | ^^^^^',
        '  because: line 3 has it already',
        '  to do: keep one of them',
        'p.yaml:7:1: unknown key slot',
        '    7 | slot: 3',
        '      | ^^^^',
        '  because: the keys here are apiVersion, site, base, k3s, board, devices, formation, servers, lan, network, registries, apps, users, system, files, units, persist, limits, folders, slots, disk, outputs',
        '  to do: did you mean slots?',
      ].join('\n'),
    );
  });

  it('refuses merge keys and keys that are no words', () => {
    const text = refusal(`${smallest}system: {<<: {timezone: UTC}}\n? [a]\n: b\n`);
    expect(text).toContain('p.yaml:6:10: merge keys (<<) are not read');
    expect(text).toContain('p.yaml:7:3: a key must be a word');
  });

  it('ends quickly where aliases multiply', () => {
    const levels = Array.from({ length: 12 }, (_, level) => {
      return `l${level}: &l${level} [${Array(9)
        .fill(level === 0 ? 'x' : `*l${level - 1}`)
        .join(', ')}]`;
    });
    const start = performance.now();
    expect(refusal(levels.join('\n'))).toContain('aliases expand to too much');
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it.each(['[', '{', '- ', '? ', '- [', 'a: '])('ends quickly where %s nests without end', (piece) => {
    const start = performance.now();
    expect(refusal(piece.repeat(200_000 / piece.length))).toContain('nested more than 100 levels deep');
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('reads many aliases without going through the document for each', () => {
    const aliases = Array(20_000).fill('*a').join(', ');
    const start = performance.now();
    expect(refusal(`x: &a 1\ny: [${aliases}]\n`)).toContain('unknown key x');
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

describe('what is wrong at its place', () => {
  it('refuses a 254th device', () => {
    const devices = (count: number) =>
      smallest.replace(
        '[{name: a}]',
        `\n${Array.from({ length: count }, (_, i) => `  - name: d${i}`).join('\n')}`,
      );
    expect(refusal(devices(254))).toBe(
      [
        'p.yaml:5:1: devices: a list of 254 is not accepted',
        '    5 | devices: ',
        '      | ^^^^^^^',
        '  because: expected at most 253 devices: a site has one /24',
      ].join('\n'),
    );
    expect(parseProfile(encode(devices(253)), 'p.yaml', boards).profile.devices).toHaveLength(253);
  });

  it('shows both places of an overlap', () => {
    const text = refusal(`${smallest}network:\n  podCidr: 10.60.0.0/16\n  serviceCidr: 10.60.128.0/20\n`);
    expect(text).toBe(
      [
        'p.yaml:8:16: network.serviceCidr 10.60.128.0/20 and network.podCidr 10.60.0.0/16 overlap',
        '    8 |   serviceCidr: 10.60.128.0/20',
        '      |                ^^^^^^^^^^^^^^',
        'p.yaml:7:12:',
        '    7 |   podCidr: 10.60.0.0/16',
        '      |            ^^^^^^^^^^^^',
        '  because: a packet to an address of both could go two ways',
      ].join('\n'),
    );
  });

  it('points through an alias at what is written', () => {
    const text = refusal(
      smallest.replace('[{name: a}]', '[{name: a, labels: &l {x: "?"}}, {name: b, labels: *l}]'),
    );
    expect(text.match(/p\.yaml:5:\d+/g)).toEqual(['p.yaml:5:36', 'p.yaml:5:36']);
  });

  it('shows the part of a long line that matters', () => {
    const text = refusal(`${smallest}# \nsystem: {timezone: ${' '.repeat(200)}Nowhere}\n`);
    const [, line = '', caret = ''] = text.split('\n');
    expect(line.length).toBeLessThan(130);
    expect(line.slice(caret.indexOf('^'), caret.lastIndexOf('^') + 1)).toBe('Nowhere');
  });

  it('never shows a secret', () => {
    const text = refusal(
      `${smallest}registries: {configs: {r.example: {auth: {password: hunter2, user: x}}}}\n`,
    );
    expect(text).toContain('unknown key user');
    expect(text).not.toContain('hunter2');
  });

  it('locates keys for problems that are found later', () => {
    const loaded = parseProfile(encode(`${smallest}slots:\n  size: 2GiB\n`), 'p.yaml', boards);
    expect(loaded.locate(['slots', 'size'])).toEqual({
      where: 'p.yaml:7:9',
      excerpt: '    7 |   size: 2GiB\n      |         ^^^^',
    });
    // What is left out is shown by the deepest key that is there, at last by the profile's start.
    expect(loaded.locate(['slots', 'other', 3]).where).toBe('p.yaml:6:1');
    expect(loaded.locate(['devices', 0, 'board']).where).toBe('p.yaml:5:12');
    expect(loaded.locate(['limits', 'journal']).where).toBe('p.yaml:1:1');
  });
});

describe('files', () => {
  it('says what is not there and what is no file', async () => {
    await expect(loadProfile('/nonexistent/p.yaml')).rejects.toMatchObject({
      kind: 'input',
      problems: [{ what: 'no such file', where: '/nonexistent/p.yaml' }],
    });
    await expect(loadProfile('/')).rejects.toMatchObject({
      kind: 'input',
      problems: [{ what: 'a folder, not a profile', where: '/' }],
    });
  });

  it('takes paths in a profile from its folder, where the files must be, and freezes all of it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'edgekiln-'));
    try {
      const file = join(folder, 'p.yaml');
      writeFileSync(
        file,
        smallest
          .replace('board-a', 'qemu-x86_64')
          .replace('{standIn: true}', `{file: bin/k3s, sha256: "${'0'.repeat(64)}"}`),
      );
      await expect(loadProfile(file)).rejects.toMatchObject({
        problems: [{ what: `k3s.file: there is no ${join(folder, 'bin/k3s')}`, where: `${file}:4:13` }],
      });
      mkdirSync(join(folder, 'bin/k3s'), { recursive: true });
      await expect(loadProfile(file)).rejects.toMatchObject({
        problems: [{ what: `k3s.file: ${join(folder, 'bin/k3s')} is a folder, not a file` }],
      });
      rmSync(join(folder, 'bin/k3s'), { recursive: true });
      writeFileSync(join(folder, 'bin/k3s'), '');
      const { profile } = await loadProfile(file);
      expect(profile.k3s).toMatchObject({ kind: 'file', path: join(folder, 'bin/k3s') });
      expect(Object.isFrozen(profile.devices[0]?.labels)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('whatever is given', () => {
  const check = (bytes: Uint8Array) => {
    try {
      parseProfile(bytes, 'p.yaml', boards);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      for (const problem of error.problems) expect(problem.where).toMatch(/^p\.yaml/);
    }
  };

  it('any text ends in a profile or a failure', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => check(encode(text))),
      { numRuns: 2000 },
    );
  });

  it('any bytes do', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 1000 });
  });

  it('a profile with any value at any key does', () => {
    const words = fc.constantFrom(
      'name',
      'devices',
      'k3s',
      'base',
      'lan',
      'static',
      'files',
      'apps',
      'chart',
      'labels',
      '__proto__',
      'config',
      'persist',
      'users',
      'network',
      'registries',
      'limits',
      'system',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        tie('map'),
        fc.array(tie('map'), { maxLength: 3 }),
      ),
      map: fc.dictionary(words, tie('tree'), { maxKeys: 3 }),
    }));
    fc.assert(
      fc.property(fc.dictionary(words, tree), (value) =>
        check(encode(JSON.stringify({ apiVersion: 'edgekiln/v1', ...value }))),
      ),
      { numRuns: 1500 },
    );
  });

  it('a good profile with any piece cut out or doubled does', () => {
    const full = `${smallest}lan: {static: {subnet: 10.0.0.0/24}}\nfiles: [{path: /etc/a, content: "x"}]\nnetwork: {podCidr: 10.9.0.0/16}\nusers: [{name: a, sshKeys: []}]\n`;
    fc.assert(
      fc.property(fc.nat(full.length), fc.nat(20), fc.boolean(), (at, length, twice) => {
        const piece = full.slice(at, at + length);
        check(encode(full.slice(0, at) + (twice ? piece + piece : '') + full.slice(at + length)));
      }),
      { numRuns: 1500 },
    );
  });
});
