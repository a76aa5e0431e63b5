import { describe, expect, it } from 'vitest';
import { exitCodeOf, Failure } from '../../formats/errors.ts';
import type { Entry } from './entry.ts';
import { Tree } from './tree.ts';

const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1 };
const dir = (path: string, mode = 0o755): Entry => ({ ...owner, path, mode, kind: 'directory' });
const link = (path: string, target: string): Entry => ({
  ...owner,
  path,
  mode: 0o777,
  kind: 'symlink',
  target,
});
const hard = (path: string, target: string): Entry => ({ ...owner, path, kind: 'hardlink', target });
const file = (path: string, text = path): Entry => {
  const bytes = Buffer.from(text);
  return {
    ...owner,
    path,
    kind: 'file',
    size: bytes.length,
    segments: [{ offset: 0, bytes: { at: 'memory', bytes } }],
  };
};

/** The tree as lines: path, kind, and what it points at or says. */
function lines(tree: Tree): string[] {
  return [...tree.entries()].map((entry) => {
    if (entry.kind === 'symlink') return `${entry.path} -> ${entry.target}`;
    if (entry.kind === 'hardlink') return `${entry.path} = ${entry.target}`;
    const bytes = entry.kind === 'file' ? entry.segments[0]?.bytes : undefined;
    if (bytes?.at === 'memory') return `${entry.path}: ${Buffer.from(bytes.bytes)}`;
    return entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  });
}

function merged(...layers: Entry[][]): string[] {
  const tree = new Tree();
  for (const layer of layers) tree.merge(layer, { whiteouts: true });
  return lines(tree);
}

function refused(...layers: Entry[][]): string {
  try {
    merged(...layers);
  } catch (error) {
    expect(exitCodeOf(error)).toBe(2);
    if (error instanceof Failure)
      return error.problems.map((problem) => `${problem.what}: ${problem.why}`).join();
  }
  throw new Error('it was not refused');
}

describe('a merged tree', () => {
  it('is in canonical order, by bytes', () => {
    expect(merged([file('b'), file('a.x'), file('a/z'), file('\u{10000}'), file('\uffff')])).toEqual([
      '/',
      'a/',
      'a/z: a/z',
      'a.x: a.x',
      'b: b',
      '\uffff: \uffff',
      '\u{10000}: \u{10000}',
    ]);
  });

  it('lets the later win', () => {
    expect(
      merged([file('a', '1'), dir('d'), file('d/x')], [file('a', '2'), file('d', 'now a file')]),
    ).toEqual(['/', 'a: 2', 'd: now a file']);
    expect(merged([file('a')], [dir('a'), file('a/b')])).toEqual(['/', 'a/', 'a/b: a/b']);
  });

  it('keeps what is in a directory that comes again, with the later owner and mode', () => {
    const tree = new Tree();
    tree.merge([dir('d'), file('d/x')]);
    tree.merge([dir('d', 0o700)]);
    expect(lines(tree)).toEqual(['/', 'd/', 'd/x: d/x']);
    expect(tree.get('d')?.mode).toBe(0o700);
  });

  it('puts what is under a linked directory where the link leads', () => {
    const base = [link('lib', 'usr/lib'), dir('usr'), dir('usr/lib'), file('usr/lib/old')];
    const usr = ['/', 'lib -> usr/lib', 'usr/', 'usr/lib/'];
    expect(merged(base, [dir('lib'), dir('lib/systemd'), file('lib/systemd/x')])).toEqual([
      ...usr,
      'usr/lib/old: usr/lib/old',
      'usr/lib/systemd/',
      'usr/lib/systemd/x: lib/systemd/x',
    ]);
    expect(merged([link('lib', '/usr/../../usr/lib')], [file('lib/x')])).toEqual([
      '/',
      'lib -> /usr/../../usr/lib',
      'usr/',
      'usr/lib/',
      'usr/lib/x: lib/x',
    ]);
  });

  it('replaces a link by a file, and a link to nothing by a directory', () => {
    expect(merged([dir('d'), link('a', 'd'), file('a/x')], [file('a', 'f')])).toEqual([
      '/',
      'a: f',
      'd/',
      'd/x: a/x',
    ]);
    expect(merged([link('a', 'nowhere')], [dir('a')])).toEqual(['/', 'a/']);
  });

  it('keeps hard links right when one of their names is replaced or removed', () => {
    const base = [file('a', 'first'), hard('b', 'a'), hard('c', 'b')];
    expect(merged(base)).toEqual(['/', 'a: first', 'b = a', 'c = a']);
    expect(merged(base, [file('a', 'second')])).toEqual(['/', 'a: second', 'b: first', 'c = b']);
    expect(merged(base, [file('.wh.a')])).toEqual(['/', 'b: first', 'c = b']);
  });

  it('takes whiteouts only of layers below', () => {
    const base = [dir('d'), file('d/x'), file('d/y'), file('a')];
    expect(merged(base, [file('d/new'), file('d/.wh..wh..opq'), file('.wh.a')])).toEqual([
      '/',
      'd/',
      'd/new: d/new',
    ]);
    expect(merged(base, [file('d/x', 'again'), file('.wh.d')])).toEqual(['/', 'a: a', 'd/', 'd/x: again']);
    const tree = new Tree();
    tree.merge([file('.wh.a')]);
    expect(lines(tree)).toEqual(['/', '.wh.a: .wh.a']);
  });

  it('takes away what is deeper than calls can be', () => {
    const deep = file(`${'a/'.repeat(20_000)}f`);
    expect(merged([deep], [file('a')])).toEqual(['/', 'a: a']);
    expect(merged([deep], [file('.wh.a')])).toEqual(['/']);
    expect(merged([deep], [file('.wh.a'), file('a/b')])).toEqual(['/', 'a/', 'a/b: a/b']);
  });

  it('keeps names that are not UTF-8', () => {
    expect(merged([file('caf\udce9'), file('cafe')])).toEqual(['/', 'cafe: cafe', 'caf\udce9: caf\ufffd']);
  });

  it.each<[string, Entry[]]>([
    ['/a/b cannot be put into the tree: a is not a directory', [file('a'), file('a/b')]],
    ['/b cannot be put into the tree: it is a hard link to a, which is not there', [hard('b', 'a')]],
    [
      '/b cannot be put into the tree: it is a hard link to a, which is a directory',
      [dir('a'), hard('b', 'a')],
    ],
    [
      '/a/x cannot be put into the tree: symbolic links lead round in a circle on its way',
      [link('a', 'b'), link('b', 'a'), file('a/x')],
    ],
    ['/ cannot be put into the tree: the root of the tree is not a directory', [file('')]],
    ['/a/.. cannot be put into the tree: its name is not one of a file', [file('a/..')]],
    ['/a cannot be put into the tree: its name or target is far too long', [link('a', 'x'.repeat(20_000))]],
  ])('refuses: %s', (message, entries) => {
    expect(refused(entries)).toBe(message);
  });

  it('gives the same with hardly any memory', () => {
    const names = Array.from({ length: 8_000 }, (_, i) => `d${(i * 7919) % 97}/n${(i * 104_729) % 8_009}`);
    const build = (budget: number): Tree => {
      const tree = new Tree({ budget });
      tree.merge(names.map((name) => file(name)));
      tree.merge(names.slice(0, 2000).map((name) => link(name, `../${name}`)));
      return tree;
    };
    const small = build(256 * 1024);
    expect(lines(small)).toEqual(lines(build(64 * 1024 * 1024)));
    small.close();
  });
});
