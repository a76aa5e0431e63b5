import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { writeToFile } from '../output.ts';
import { planCpio } from './plan.ts';

const folder = mkdtempSync(join(tmpdir(), 'cpio-'));
afterAll(() => rmSync(folder, { recursive: true }));
const mtime = 1_700_000_000;
const common = { uid: 0, gid: 0, mtime };
const entries: Entry[] = [
  { ...common, kind: 'directory', path: '', mode: 0o755 },
  { ...common, kind: 'directory', path: 'bin', mode: 0o755 },
  fileEntry('bin/a', Buffer.alloc(5001, 3), { ...common, mode: 0o4755 }),
  { ...common, kind: 'hardlink', path: 'bin/b', mode: 0, target: 'bin/a' },
  fileEntry('bin/empty', '', { ...common, mode: 0o600 }),
  { ...common, kind: 'symlink', path: 'bin/link', mode: 0o777, target: '../etc/target' },
  { ...common, kind: 'char', path: 'console', mode: 0o600, major: 5, minor: 1 },
  {
    ...common,
    kind: 'file',
    path: 'sparse',
    mode: 0o644,
    size: 10_000,
    segments: [{ offset: 6000, bytes: { at: 'memory', bytes: Buffer.from('data') } }],
  },
];

describe('a cpio archive', () => {
  it('is listed by cpio as it was meant', async () => {
    const archive = join(folder, 'a.cpio');
    await writeToFile(planCpio({ entries: () => entries }), archive);
    const said = execFileSync('cpio', ['-tvn', '--quiet'], {
      input: readFileSync(archive),
      encoding: 'utf8',
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    await expect(said).toMatchFileSnapshot('golden/list.txt');
  });

  it.skipIf(process.getuid?.() !== 0)('is unpacked by cpio', async () => {
    const archive = join(folder, 'b.cpio');
    await writeToFile(planCpio({ entries: () => entries }), archive);
    const out = join(folder, 'out');
    mkdirSync(out);
    execFileSync('cpio', ['-idm', '--quiet'], { cwd: out, input: readFileSync(archive) });
    expect(readFileSync(join(out, 'bin/b')).equals(Buffer.alloc(5001, 3))).toBe(true);
    expect(lstatSync(join(out, 'bin/a')).ino).toBe(lstatSync(join(out, 'bin/b')).ino);
    expect(lstatSync(join(out, 'bin/a')).mode & 0o7777).toBe(0o4755);
    expect(lstatSync(join(out, 'bin/a')).mtimeMs).toBe(mtime * 1000);
    expect(readlinkSync(join(out, 'bin/link'))).toBe('../etc/target');
    expect(lstatSync(join(out, 'console')).rdev).toBe(0x501);
    expect(readFileSync(join(out, 'sparse')).subarray(5998, 6006).toString('latin1')).toBe('\0\0data\0\0');
  });

  it('is the same bytes each time', async () => {
    await writeToFile(planCpio({ entries: () => entries }), join(folder, '1'));
    await writeToFile(planCpio({ entries: () => entries }), join(folder, '2'));
    expect(readFileSync(join(folder, '1')).equals(readFileSync(join(folder, '2')))).toBe(true);
  });

  it('refuses what it cannot hold, by name', () => {
    const large: Entry = { ...common, kind: 'file', path: 'big', mode: 0o644, size: 2 ** 32, segments: [] };
    const marked: Entry = {
      ...common,
      kind: 'directory',
      path: 'd',
      mode: 0o755,
      xattrs: [['user.x', Buffer.from('1')]],
    };
    expect(() => planCpio({ entries: () => [large] })).toThrow('/big cannot be put into an initrd');
    expect(() => planCpio({ entries: () => [marked] })).toThrow('/d cannot be put into an initrd');
  });
});
