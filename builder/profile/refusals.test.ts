// What a build refuses of a profile and of the files it names: the exact message, and the exit code.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planBoards } from '../pipeline/plan.ts';
import { workshopIn } from '../pipeline/workshop.fixture.ts';
import { tarball } from '../stages/tarball.ts';
import { storedFile, unitEntries } from '../tree/contents.ts';
import { openLayers } from '../tree/layer.ts';
import { readOverlay } from '../tree/overlay.ts';
import { Tree } from '../tree/tree.ts';
import { loadProfile } from './load.ts';
import { refusalOf } from './refusal.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-refusals-'));
const at = (name: string) => join(folder, name);
beforeAll(() => {
  writeFileSync(at('there.txt'), 'here\n');
  mkdirSync(at('folder'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const refusal = (work: () => unknown): Promise<string> => refusalOf(folder, work);

const profile = (more: string, board = 'qemu-x86_64') =>
  `apiVersion: edgekiln/v1\nsite: {name: shop}\nboard: ${board}\nk3s: {standIn: true}\ndevices: [{name: one}]\n${more}\n`;

describe('a profile with', () => {
  it.each<[string, string, string]>([
    ['an unknown key', profile('lam: {}'), './shop.yaml:6:1: unknown key lam'],
    [
      'a value of another type',
      profile('lan: {dns: 9.9.9.9}'),
      './shop.yaml:6:12: lan.dns must be a list, not text',
    ],
    [
      'networks that overlap',
      profile('network: {podCidr: 10.43.0.0/17}'),
      './shop.yaml:6:20: network.podCidr 10.43.0.0/17 and network.serviceCidr 10.43.0.0/16 (where it is left out) overlap',
    ],
    [
      'a bad digest',
      profile('base: {tarball: {path: there.txt, sha256: abc}}'),
      './shop.yaml:6:43: base.tarball.sha256: "abc" is not accepted',
    ],
    [
      'a missing file',
      profile('files: [{path: /etc/a, from: gone.txt}]'),
      './shop.yaml:6:30: files[0].from: there is no ./gone.txt',
    ],
    [
      'a folder where a file belongs',
      profile('files: [{path: /etc/a, from: folder}]'),
      './shop.yaml:6:30: files[0].from: ./folder is a folder, not a file',
    ],
    [
      'a board that does not exist',
      profile('', 'qemu-riscv64'),
      './shop.yaml:3:8: board: there is no board qemu-riscv64',
    ],
    [
      'a path that climbs',
      profile('files: [{path: /etc/../../x, content: ""}]'),
      './shop.yaml:6:16: files[0].path: "/etc/../../x" is not accepted',
    ],
    [
      'a file kept as a copy where nothing copies',
      profile('persist: [{kind: copy, path: /srv/till, mode: "0600"}]'),
      './shop.yaml:6:30: persist[0].path: /srv/till cannot be kept as a copy',
    ],
    [
      'a locale that is none',
      profile('system: {locale: german}'),
      './shop.yaml:6:18: system.locale: "german" is not accepted',
    ],
    [
      'a unit that cannot be enabled',
      profile('units: [{name: a.service, content: "[Service]"}]'),
      './shop.yaml:6:16: units[0]: the unit a.service cannot be enabled',
    ],
  ])('%s', async (_, text, message) => {
    writeFileSync(at('shop.yaml'), text);
    const said = await refusal(() => loadProfile(at('shop.yaml')));
    expect(said.split('\n')[0]).toBe(`2: ${message}`);
  });
});

describe('a base with', () => {
  const index = (...options: string[]) => {
    execFileSync('tar', ['-cPf', at('base.tar'), '-C', folder, ...options]);
    return refusal(() => openLayers([at('base.tar')]).close());
  };

  it('a name that leads out of it', async () => {
    expect(await index('--transform', 's,^there,../../etc/there,', 'there.txt')).toBe(
      '2: ./base.tar at byte 0: not a tar file that can be used: the name ../../etc/there.txt leads out of the tree',
    );
  });

  it('a link that leads out of it: what lies behind stays inside', async () => {
    symlinkSync('/etc', at('way'));
    execFileSync('tar', ['-cPf', at('one.tar'), '-C', folder, 'way']);
    execFileSync('tar', ['-cPf', at('two.tar'), '-C', folder, '--transform', 's,^,way/,', 'there.txt']);
    const tree = openLayers([at('one.tar'), at('two.tar')]);
    expect([...tree.entries()].map(({ path }) => path)).toEqual(['', 'etc', 'etc/there.txt', 'way']);
    tree.close();
  });

  it('far more in it than a slot holds', async () => {
    writeFileSync(at('bomb.tar.gz'), gzipSync(Buffer.alloc(64 * 1024 ** 2)));
    const result = mkdtempSync(join(folder, 'result-'));
    const options = {
      sha256: tarball.schema.parse({ sha256: '0'.repeat(64), limit: 1 }).sha256,
      limit: 1024 ** 2,
    };
    expect(
      await refusal(() => tarball.run(options, { tarball: at('bomb.tar.gz') }, workshopIn(result))),
    ).toMatch(/^2: \.\/bomb\.tar\.gz: .*\n {2}because: it unpacks to more than 1048576 bytes/);
  });

  it('a file larger than any filesystem: refused by its header, not by filling the disk', async () => {
    writeFileSync(at('huge'), '');
    truncateSync(at('huge'), 2 ** 40);
    execFileSync('tar', ['-cSf', at('huge.tar'), '-C', folder, 'huge']);
    const tree = openLayers([at('huge.tar')]);
    expect(tree.get('huge')).toMatchObject({ size: 2 ** 40, segments: [] });
    tree.close();
  });
});

describe('what is laid over a base', () => {
  it('is no pipe', async () => {
    mkdirSync(at('overlay'));
    execFileSync('mkfifo', [at('overlay/pipe')]);
    expect(await refusal(() => readOverlay(at('overlay'), {}, 0))).toBe(
      '2: ./overlay/pipe: an overlay holds a device node, a pipe or a socket\n  because: only files, folders and links are laid over a base\n  to do: remove it',
    );
    rmSync(at('overlay/pipe'));
  });

  it('is no device of the build machine', async () => {
    expect(await refusal(() => storedFile('etc/zero', '/dev/zero', { mode: 0o644, mtime: 0 }))).toBe(
      '2: /dev/zero is not a file\n  because: /etc/zero is to be made of it, and only files and folders go into an image',
    );
  });

  it('is no unit that names one which is nowhere', async () => {
    const unit = { name: 'a.service', text: '[Install]\nAlso=b.socket\n', enable: true };
    expect(await refusal(() => unitEntries([unit], new Tree(), 0))).toMatch(
      /^2: the unit a\.service cannot be enabled\n {2}because: Also= names b\.socket, and there is no such unit/,
    );
  });
});

it('refuses none of the profiles to start from', async () => {
  const profiles = join(import.meta.dirname, '../../profiles');
  for (const name of ['quickstart.yaml', 'shop.yaml']) {
    const loaded = await loadProfile(join(profiles, name));
    expect(loaded.unbuilt).toEqual([]);
    expect(planBoards(loaded)).toHaveLength(1);
  }
});
