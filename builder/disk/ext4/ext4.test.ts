import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../tree/entry.ts';
import { Tree } from '../../tree/tree.ts';
import { writeToFile } from '../output.ts';
import { planExt4 } from './plan.ts';
import { openExt4 } from './read.ts';

const identity = {
  uuid: Buffer.alloc(16, 7),
  hashSeed: Buffer.alloc(16, 9),
  label: 'root',
  time: 1_700_000_000,
};

describe('an ext4 filesystem', () => {
  it('passes e2fsck and reads back as it was', async () => {
    const owner = { mode: 0o640, uid: 70_000, gid: 1, mtime: 1e9 };
    const text = (path: string, bytes: Buffer): Entry => ({
      ...owner,
      path,
      kind: 'file',
      size: bytes.length,
      segments: [{ offset: 0, bytes: { at: 'memory', bytes } }],
    });
    const tree = new Tree();
    tree.merge([
      text('a', Buffer.from('hello')),
      { ...owner, path: 'hard', kind: 'hardlink', target: 'a' },
      { ...owner, path: 'fast', kind: 'symlink', target: 'x'.repeat(59) },
      { ...owner, path: 'slow', kind: 'symlink', target: 'x'.repeat(4000) },
      { ...owner, path: 'null', kind: 'char', major: 1, minor: 3 },
      { ...owner, path: 'big', kind: 'block', major: 259, minor: 300_000 },
      {
        ...owner,
        path: 'cap',
        kind: 'fifo',
        xattrs: [
          ['security.capability', Buffer.alloc(20, 1)],
          ['user.long', Buffer.alloc(3000, 2)],
        ],
      },
      ...Array.from({ length: 3000 }, (_, i) => text(`many/file number ${i}`, Buffer.from(`${i}`))),
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'edgekiln-ext4-'));
    const image = join(folder, 'image');
    await writeToFile(planExt4(tree, { ...identity, size: 64 << 20 }), image);
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    const reader = openExt4(image);
    expect(reader.read('many/file number 77').toString()).toBe('77');
    const shape = (entries: Iterable<Entry>) =>
      [...entries]
        .filter(({ path }) => path !== 'lost+found')
        .map((entry) => (entry.kind === 'file' ? { ...entry, segments: [] } : entry))
        .map((entry) => JSON.parse(JSON.stringify(entry)));
    expect(shape(reader.entries())).toEqual(shape(tree.entries()));
    reader.close();
    rmSync(folder, { recursive: true });
  });
});
