import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, renderError } from '../../formats/errors.ts';
import { loadProfile, parseProfile } from './load.ts';

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

it('says at its place what no build acts on yet', () => {
  const text = `${smallest}network: {wireguard: 172.30.16.0/20}\noutputs: [image, bundle]\n`;
  expect(parseProfile(encode(text), 'p.yaml', boards).unbuilt).toMatchObject([
    { what: 'network.wireguard is not built yet', where: 'p.yaml:6:11' },
    { what: 'the output bundle is not built yet', where: 'p.yaml:7:18' },
  ]);
  expect(parseProfile(encode(smallest), 'p.yaml', boards).unbuilt).toEqual([]);
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
    await expect(loadProfile('/dev/zero')).rejects.toMatchObject({
      kind: 'input',
      problems: [{ what: 'a pipe or a device, not a profile', where: '/dev/zero' }],
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
      symlinkSync('/dev/zero', join(folder, 'bin/k3s'));
      await expect(loadProfile(file)).rejects.toMatchObject({
        problems: [{ what: `k3s.file: ${join(folder, 'bin/k3s')} is a pipe or a device, not a file` }],
      });
      rmSync(join(folder, 'bin/k3s'));
      writeFileSync(join(folder, 'bin/k3s'), '');
      const { profile } = await loadProfile(file);
      expect(profile.k3s).toMatchObject({ kind: 'file', path: join(folder, 'bin/k3s') });
      expect(Object.isFrozen(profile.devices[0]?.labels)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
