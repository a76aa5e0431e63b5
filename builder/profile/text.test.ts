import { describe, expect, it } from 'vitest';
import { exitCodeOf, renderError } from '../../formats/errors.ts';
import { parseProfile } from './load.ts';
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
      'p.yaml:1:1: the profile must be a map of keys, not text\n    1 | hello\n      | ^\n  because: the reference says: a site, as edgekiln builds it',
    ],
  ])('%s', (_, content, expected) => {
    expect(refusal(content)).toBe(expected);
  });

  it('shows a tag beside what else is wrong', () => {
    expect(refusal('apiVersion: edgekiln/v1\nsite: {name: !secret b, nam: c}\n')).toMatch(
      /^p\.yaml:2:14: tags are not read\n[\s\S]*unknown key nam in site/,
    );
  });

  it('shows nothing that steers a terminal or turns the direction of a line', () => {
    const text = refusal(`${smallest}system: {hostname: "a\u202eb\u009bc\u2066"}\n`);
    expect(text).toContain('"a\\x202eb\\x9bc\\x2066"');
    expect(text).not.toMatch(/[\u009b\u202e\u2066]/);
  });

  it('refuses tags that the library would read, too', () => {
    for (const value of ['!!binary aGVsbG8=', '!!str 5', '!!omap [a: 1]', '!!set {a}'])
      expect(refusal(`${smallest}system: {timezone: ${value}}\n`)).toMatch(/tags are not read/);
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
