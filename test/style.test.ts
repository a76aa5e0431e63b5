// The shape of the project, as a test: what may import what, how deep, how long, and nothing dead.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const rooms = ['formats', 'builder', 'firstboot', 'lab', 'test', 'bench'];

/** Files over the limit, and why each may be. */
const longFiles: Readonly<Record<string, string>> = {
  'builder/tree/nodes.ts': 'one record layout: its fields are read and written together',
  'builder/tree/tar.ts': 'one format with three dialects, read in one pass',
};

/** Where programs start: nothing imports these. */
const entrances = ['builder/cli.ts', 'firstboot/agent.ts', 'lab/standin/program.ts'];
const scripts =
  readFileSync(join(root, 'package.json'), 'utf8') + readFileSync(join(root, 'build.mjs'), 'utf8');
const isEntrance = (file: string): boolean =>
  entrances.includes(file) ||
  file.endsWith('.config.ts') ||
  scripts.includes(file) ||
  file.endsWith('.test.ts') ||
  file.startsWith('bench/') ||
  /^lab\/\w+\/main\.ts$/.test(file);

/** Rooms that decide and never look: data in, data out. */
const pure = [
  'firstboot/protocol/',
  'lab/standin/model.ts',
  'lab/switch/fabric.ts',
  'formats/',
  'builder/disk/',
];
const impure =
  /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b|\bsetTimeout\b|\bsetInterval\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b|\bhrtime\b/;

const files = rooms
  .flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((path) => `${room}/${path}`),
  )
  .filter((path) => path.endsWith('.ts'))
  .sort();
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const isTest = (file: string): boolean =>
  file.endsWith('.test.ts') || file.startsWith('test/') || file.endsWith('.fixture.ts');

interface Import {
  readonly from: string;
  readonly to: string;
  readonly names: readonly string[];
}

const imports: Import[] = [...sources].flatMap(([file, source]) => {
  const statements = source.matchAll(/(?:^|\n)(?:import|export)\s([^;'"]*?)\bfrom\s+['"](\.[^'"]+)['"]/g);
  const dynamic = source.matchAll(/(?:\bimport\(\s*|\brequire\(\s*|^import\s+)['"](\.[^'"]+)['"]/gm);
  const target = (path: string): string => relative(root, join(root, dirname(file), path));
  // A worker thread is named by its place: by a URL, or by the file name it has when bundled.
  const workers = source.matchAll(/new URL\(\s*['"](\.[^'"]+\.ts)['"]/g);
  return [
    ...[...workers].map(([, path = '']) => ({ from: file, to: target(path), names: ['*'] })),
    ...[...statements].map(([, names = '', path = '']) => ({
      from: file,
      to: target(path),
      names: names
        .replace(/[{}*]/g, ' ')
        .split(/[\s,]+/)
        .filter((name) => !['', 'type', 'as'].includes(name)),
    })),
    ...[...dynamic].map(([, path = '']) => ({ from: file, to: target(path), names: ['*'] })),
  ];
});

describe('the rooms', () => {
  it('import only what they may', () => {
    const allowed: Readonly<Record<string, readonly string[]>> = {
      formats: ['formats'],
      builder: ['formats', 'builder', 'lab', 'package.json'],
      firstboot: ['formats', 'firstboot'],
      lab: ['formats', 'lab', 'firstboot', 'builder'],
      test: rooms,
      bench: rooms,
    };
    const crossings = imports.filter(({ from, to }) => {
      if (isTest(from)) return false;
      const room = to.split('/')[0] ?? '';
      if (!(allowed[from.split('/')[0] ?? ''] ?? []).includes(room)) return true;
      // Only the verb of the lab leads from the builder into the lab, and only the simulator and the stand-in from the
      // lab to the device.
      if (from.startsWith('builder/') && room === 'lab') return from !== 'builder/commands/lab.ts';
      if (from.startsWith('lab/') && room === 'firstboot')
        return !/^lab\/(simulated|standin|namespaces)\//.test(from);
      return false;
    });
    expect(crossings).toEqual([]);
  });

  it('do not import commands', () => {
    const list = /^(builder|firstboot)\/commands\//;
    const asked = imports.filter(
      ({ from, to }) => list.test(to) && !list.test(from) && !isTest(from) && !entrances.includes(from),
    );
    expect(asked).toEqual([]);
  });

  it('are no deeper than three folders', () => {
    expect(files.filter((file) => file.split('/').length > 4)).toEqual([]);
  });

  it('have names of the field', () => {
    expect(
      files.filter((file) => /(^|\/)(utils?|helpers?|common|misc|managers?)(\.|\/)/i.test(file)),
    ).toEqual([]);
  });

  it('that are pure read no clock and draw no lots', () => {
    const guilty = [...sources].filter(
      ([file, source]) =>
        pure.some((room) => file.startsWith(room)) && !isTest(file) && impure.test(withoutComments(source)),
    );
    expect(guilty.map(([file]) => file)).toEqual([]);
  });
});

describe('the files', () => {
  it('have at most 300 lines, tests 450, or a reason', () => {
    const long = [...sources].filter(
      ([file, source]) => source.split('\n').length > (isTest(file) ? 450 : 300) && !(file in longFiles),
    );
    expect(long.map(([file]) => file)).toEqual([]);
    expect(Object.keys(longFiles).filter((file) => !sources.has(file))).toEqual([]);
  });

  it('are all reached from where programs start', () => {
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const { from, to } of imports) if (from === file) visit(to);
    };
    files.filter(isEntrance).forEach(visit);
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });

  it('export nothing that nobody imports', () => {
    const used = new Set(imports.flatMap(({ to, names }) => names.map((name) => `${to}:${name}`)));
    const unused = [...sources].flatMap(([file, source]) => {
      const exported = source.matchAll(
        /^export (?:declare )?(?:abstract )?(?:async )?(const|let|function\*?|class|interface|type|enum) (\w+)/gm,
      );
      return [...exported]
        .filter(([, kind, name = '']) => {
          // A type may be exported for a signature of its own file; a value may not.
          const type = kind === 'interface' || kind === 'type';
          return !(type && (source.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0) > 1);
        })
        .map(([, , name]) => `${file}:${name}`)
        .filter((name) => !used.has(name) && !used.has(`${file}:*`) && !isEntrance(file));
    });
    expect(unused).toEqual([]);
  });

  it('say nothing of unfinished work', () => {
    const word = /\b(TODO|FIXME|XXX)\b|not implemented/;
    expect(
      [...sources]
        .filter(([file, source]) => file !== 'test/style.test.ts' && word.test(source))
        .map(([file]) => file),
    ).toEqual([]);
  });

  it('do not give up on types', () => {
    const giveUp = /\bas any\b|: any\b|<any>|as unknown as|@ts-(ignore|nocheck|expect-error)/;
    const guilty = [...sources].filter(
      ([file, source]) => file !== 'test/style.test.ts' && giveUp.test(withoutComments(source)),
    );
    expect(guilty.map(([file]) => file)).toEqual([]);
  });
});

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
