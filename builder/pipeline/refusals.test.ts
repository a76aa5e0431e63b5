// What a build refuses behind its profile: bases, digests, packages, places. The exact message, and the exit code.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import { systemFailure } from '../../formats/errors.ts';
import { takeLocal } from '../artifacts/local.ts';
import type { DebianSet, Lock } from '../artifacts/lock.ts';
import { isSha256, type Sha256 } from '../artifacts/sha256.ts';
import { Store } from '../artifacts/store.ts';
import { parseProfile } from '../profile/load.ts';
import { refusalOf } from '../profile/refusal.fixture.ts';
import { refuseFolders, refuseUnfit } from '../stages/tree.ts';
import { openLayers } from '../tree/layer.ts';
import { localeEntries } from '../tree/locale.ts';
import { readOverlay } from '../tree/overlay.ts';
import { siteApps } from './apps.ts';
import { makeBase } from './base.ts';
import { OutputFolder } from './output.ts';
import { planBoards } from './plan.ts';
import { plainReporter } from './reporters.ts';
import { Runner } from './runner.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-refusals-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

const refusal = (work: () => unknown): Promise<string> => refusalOf(folder, work);

function digestOf(text: string): Sha256 {
  const digest = createHash('sha256').update(text).digest('hex');
  if (!isSha256(digest)) throw new Error('sha256 gives no sha256');
  return digest;
}

interface Header {
  readonly name: string;
  readonly type?: 'block-device' | 'character-device';
  readonly devmajor?: number;
  readonly devminor?: number;
}

async function baseOf(entries: readonly Header[]): Promise<string> {
  const tar = pack();
  for (const entry of entries) tar.entry(entry, '');
  tar.finalize();
  writeFileSync(at('base.tar'), await buffer(tar));
  return at('base.tar');
}

describe('a base', () => {
  const unfit = async (...entries: Header[]) => {
    const tree = openLayers([await baseOf(entries)]);
    return refusal(() => refuseUnfit(tree)).finally(() => tree.close());
  };

  it('with a device node where none belongs', async () => {
    const disk: Header = { name: 'srv/disk', type: 'block-device', devmajor: 8, devminor: 0 };
    expect(await unfit(disk)).toBe(
      '2: the base holds a device node outside of /dev: /srv/disk\n' +
        '  because: who may read it reads a disk or memory past all permissions\n' +
        '  to do: make the base without it; the kernel fills /dev at every start',
    );
  });

  it('with a folder where a file of the profile is to be', async () => {
    const tree = openLayers([await baseOf([{ name: 'usr/bin/node' }])]);
    const told = await refusal(() => refuseFolders(tree, [{ path: '/usr/bin/node' }, { path: '/usr/bin' }]));
    tree.close();
    expect(told).toBe(
      '2: files: /usr/bin is a folder of the base, not a file\n' +
        '  because: the file would take the place of all that is in it\n' +
        '  to do: write the name of the file, too: path: /usr/bin/NAME',
    );
  });

  it('with device nodes below /dev is taken, and told what it lacks', async () => {
    const node: Header = { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3 };
    expect((await unfit(node, { name: 'usr/bin/node' })).split('\n')[0]).toBe(
      '2: the base lacks /usr/sbin/init, /usr/sbin/e2fsck, /usr/sbin/mke2fs, /usr/sbin/resize2fs, /usr/sbin/sfdisk, /usr/bin/partx',
    );
  });

  it('that is another file than was meant, at the line of its digest', async () => {
    writeFileSync(at('base.tar'), 'another one');
    const text = `apiVersion: edgekiln/v1
site: {name: shop}
board: qemu-x86_64
base: {tarball: {path: base.tar, sha256: ${digestOf('the one')}}}
k3s: {standIn: true}
devices: [{name: one}]
`;
    const loaded = parseProfile(Buffer.from(text), at('shop.yaml'));
    const [plan] = planBoards(loaded);
    if (plan === undefined) throw new Error('there is no plan');
    const { signal } = new AbortController();
    const runner = new Runner({ store: at('results'), reporter: plainReporter(() => {}), signal });
    const set: DebianSet = {
      suite: 'trixie',
      architecture: 'amd64',
      requested: { install: [], extract: [] },
      releases: [],
      install: [],
      extract: [],
    };
    const work = { plan, set, loaded, runner, store: new Store(at('store')), epoch: 0 };
    const said = await refusal(() => makeBase(work));
    expect(said.split('\n')[0]).toBe(
      `2: ./shop.yaml:4:42: ./base.tar is not the file that was meant: its sha256 is ${digestOf('another one')}`,
    );
  });
});

it('a k3s of one’s own with another digest, or that is not there', async () => {
  writeFileSync(at('k3s'), 'another k3s');
  const store = new Store(at('store'));
  const k3s = { name: 'k3s.file', path: at('k3s'), sha256: digestOf('the k3s') };
  expect(await refusal(() => takeLocal(k3s, store))).toBe(
    `2: ./k3s: k3s.file is not the file that the profile names\n` +
      `  because: the profile says sha256 ${digestOf('the k3s')}, the file has ${digestOf('another k3s')}\n` +
      '  to do: correct `sha256` in the profile if this is the file you mean',
  );
  const gone = await refusal(() => takeLocal({ ...k3s, path: at('gone') }, store));
  expect(gone.split('\n')[0]).toBe('2: ./gone: k3s.file cannot be read');
});

it('a locale that Debian does not have', async () => {
  const root = at('locales');
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(join(root, 'usr/lib/locale/de_DE.utf8'), { recursive: true });
  const control =
    'Package: locales-all\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: a\n';
  writeFileSync(join(root, 'DEBIAN/control'), control);
  writeFileSync(join(root, 'usr/lib/locale/de_DE.utf8/LC_TIME'), 'Samstag');
  execFileSync('dpkg-deb', ['--root-owner-group', '-b', root, at('locales.deb')], { stdio: 'pipe' });
  const { signal } = new AbortController();
  const entries = await localeEntries(at('locales.deb'), 'de_DE.UTF-8', 0, signal);
  expect(entries.map(({ path }) => path)).toEqual(['usr/lib/locale/de_DE.utf8/LC_TIME']);
  expect(await refusal(() => localeEntries(at('locales.deb'), 'tlh_QO.UTF-8', 0, signal))).toBe(
    '2: there is no locale tlh_QO.UTF-8\n' +
      "  because: Debian's package locales-all has no tlh_QO.utf8\n" +
      '  to do: write another one into system.locale, such as C.UTF-8 or de_DE.UTF-8',
  );
});

describe('a template', () => {
  it('that would take in another file', async () => {
    mkdirSync(at('overlay'));
    writeFileSync(at('overlay/motd.hbs'), 'hello\n{{> ../../etc/shadow}}\n');
    const said = await refusal(() => readOverlay(at('overlay'), {}, 0));
    expect(said.split('\n')[0]).toMatch(
      /^2: \.\/overlay\/motd\.hbs.*: the template cannot be rendered: partials and decorators are not used here$/,
    );
    rmSync(at('overlay'), { recursive: true });
  });

  it('or a file behind a link that leads out of its overlay stays a link', async () => {
    mkdirSync(at('overlay/etc'), { recursive: true });
    symlinkSync('/etc/passwd', at('overlay/etc/people.hbs'));
    symlinkSync('..', at('overlay/etc/round'));
    const entries = await readOverlay(at('overlay'), {}, 0);
    expect(entries.map(({ kind, path }) => [kind, path])).toEqual([
      ['directory', 'etc'],
      ['symlink', 'etc/people.hbs'],
      ['symlink', 'etc/round'],
    ]);
  });
});

it('an output folder that cannot be written', async () => {
  writeFileSync(at('file'), '');
  for (const folder of ['file/shop', 'file/shop/more', 'file']) {
    const output = new OutputFolder(at(folder), 'board');
    expect(await refusal(() => output.keep('key', async () => {}))).toBe(
      `6: ./${folder}: the output folder cannot be written\n  because: ./file is a file\n  to do: give another one with --output`,
    );
  }
});

it('a folder for temporary files that is not there', async () => {
  const made = () => mkdtemp(at('nowhere/edgekiln-'));
  expect(await refusal(() => made().catch((error) => Promise.reject(systemFailure(error))))).toMatch(
    /^6: .*: the folder for temporary files is not there\n {2}because: ENOENT: .*\n {2}to do: make it, or name another one: TMPDIR$/,
  );
});

it('an output folder with a folder where an image belongs, which is left alone', async () => {
  mkdirSync(at('taken/one.img/inner'), { recursive: true });
  const keep = () =>
    new OutputFolder(at('taken'), 'board').keep('key', async (made) => {
      writeFileSync(join(made, 'one.img'), '');
    });
  const told = await refusal(() => keep().catch((error) => Promise.reject(systemFailure(error))));
  expect(told).toMatch(/^6: .*: a folder is where a file should be\n {2}because: EISDIR: .*one\.img'$/);
  expect(readdirSync(at('taken/one.img'))).toEqual(['inner']);
});

it('a chart with a link in it', async () => {
  mkdirSync(at('chart/templates'), { recursive: true });
  writeFileSync(at('chart/Chart.yaml'), 'apiVersion: v2\nname: till\nversion: 1.0.0\n');
  symlinkSync('/etc/passwd', at('chart/templates/people.yaml'));
  const text = `apiVersion: edgekiln/v1
site: {name: shop}
board: qemu-x86_64
k3s: {standIn: true}
devices: [{name: one}]
apps: [{name: till, chart: {path: chart}}]
`;
  const { profile } = parseProfile(Buffer.from(text), at('shop.yaml'));
  const { signal } = new AbortController();
  const runner = new Runner({ store: at('results'), reporter: plainReporter(() => {}), signal });
  const lock: Lock = { format: 1, debian: [], files: [] };
  expect(await refusal(() => siteApps({ profile, lock, store: new Store(at('store')) }, runner))).toBe(
    '2: ./chart/templates/people.yaml: the chart of app till holds a link\n' +
      '  because: helm would render what it leads to, which is no part of the chart\n' +
      '  to do: put the file itself there',
  );
});

describe('docs/refusals.md', () => {
  const root = join(import.meta.dirname, '../..');
  const rows = readFileSync(join(root, 'docs/refusals.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith('|-'))
    .slice(1)
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));

  it.each(rows.map(([, what = '', , file = '', test = '']) => ({ what, file, test })))(
    '$what: $file has "$test"',
    ({ file, test }) => {
      expect(test).not.toBe('');
      expect(readFileSync(join(root, file), 'utf8')).toContain(test);
    },
  );
});
