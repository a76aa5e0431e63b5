import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Entry } from './entry.ts';
import { openLayers, writeLayer } from './layer.ts';
import { fileEntry } from './overlay.ts';
import { readEntry } from './read.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layer-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('a layer comes back as it was written, the later over the earlier', async () => {
  const source = join(folder, 'source');
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  await writeFile(source, bytes);
  const common = { uid: 0, gid: 0, mtime: 1_700_000_000 };
  const long = `usr/lib/${'deep/'.repeat(40)}file`;
  const below: Entry[] = [
    { ...common, kind: 'directory', path: 'etc', mode: 0o755 },
    fileEntry('etc/motd', 'old', { mode: 0o644, mtime: 1 }),
  ];
  const above: Entry[] = [
    fileEntry('etc/motd', 'new', { mode: 0o600, uid: 7, gid: 8, mtime: 2 }),
    { ...common, kind: 'symlink', path: 'etc/link', mode: 0o777, target: '../motd' },
    {
      ...common,
      kind: 'file',
      path: long,
      mode: 0o755,
      size: 300_100,
      segments: [{ offset: 50, bytes: { at: 'file', file: source, offset: 0, length: bytes.length } }],
    },
  ];
  await writeLayer(join(folder, 'a.tar'), below);
  await writeLayer(join(folder, 'b.tar'), above);
  const tree = openLayers([join(folder, 'a.tar'), join(folder, 'b.tar')]);
  expect(readEntry(tree, 'etc/motd').toString()).toBe('new');
  expect(tree.get('etc/motd')).toMatchObject({ mode: 0o600, uid: 7, gid: 8, mtime: 2 });
  expect(tree.get('etc/link')).toMatchObject({ kind: 'symlink', target: '../motd' });
  const read = readEntry(tree, long);
  expect(read.length).toBe(300_100);
  expect(read.subarray(50, 300_050).equals(bytes)).toBe(true);
  expect(read.subarray(300_050).every((byte) => byte === 0)).toBe(true);
});

it('a medium that is full and a source that is gone are told as what they are', async () => {
  const common = { uid: 0, gid: 0, mtime: 0, mode: 0o644, kind: 'file' } as const;
  const from = (file: string, size: number): Entry[] =>
    ['one', 'two'].map((path) => ({
      ...common,
      path,
      size,
      segments: [{ offset: 0, bytes: { at: 'file' as const, file, offset: 0, length: size } }],
    }));
  const source = join(folder, 'large');
  await writeFile(source, Buffer.alloc(1 << 20));
  await expect(writeLayer('/dev/full', from(source, 1 << 20))).rejects.toMatchObject({ code: 'ENOSPC' });
  const gone = writeLayer(join(folder, 'layer.tar'), from(join(folder, 'gone'), 5));
  await expect(gone).rejects.toMatchObject({ code: 'ENOENT' });
});
