// What ext4 cannot hold is refused when it is planned: by name, and by how much.
import { describe, expect, it } from 'vitest';
import { Failure } from '../../../formats/errors.ts';
import type { Entry, Segment, Xattrs } from '../../tree/entry.ts';
import { fileEntry } from '../../tree/overlay.ts';
import { Tree } from '../../tree/tree.ts';
import { planExt4 } from './plan.ts';

const MiB = 1024 ** 2;
const block = 4096;
const options = {
  uuid: Buffer.alloc(16, 7),
  hashSeed: Buffer.alloc(16, 9),
  label: 'root',
  time: 1e9,
  size: 16 * MiB,
};
const owner = { mode: 0o644, uid: 0, gid: 0, mtime: 1e9 };
const rootEntry: Entry = { ...owner, path: '', kind: 'directory' };
const plan = (entries: readonly Entry[], change: Partial<Parameters<typeof planExt4>[1]> = {}) => {
  const tree = new Tree();
  tree.merge([rootEntry, ...entries]);
  return planExt4(tree, { ...options, ...change });
};
const fifo = (change: { path?: string; uid?: number; mtime?: number; xattrs?: Xattrs }): Entry => ({
  ...owner,
  path: 'f',
  kind: 'fifo',
  ...change,
});
const problem = (what: string, why: string) =>
  expect.objectContaining({ kind: 'input', problems: [{ what, why }] });

const bytesOf = (length: number): Segment[] => [
  { offset: 0, bytes: { at: 'file', file: '/nothing', offset: 0, length } },
];

/** How many bytes a refusal says are missing; 0 if there is none. */
function missingIn(entries: readonly Entry[], size: number): number {
  try {
    plan(entries, { size });
  } catch (error) {
    const said =
      error instanceof Failure ? /^(\d+) bytes more are needed$/.exec(error.problems[0]?.why ?? '') : null;
    if (said !== null) return Number(said[1]);
    throw error;
  }
  return 0;
}

const bad: [entry: Entry, why: string][] = [
  [fifo({ path: 'lost+found' }), 'it is not a directory, and e2fsck wants one there'],
  [fifo({ path: 'n'.repeat(256) }), 'its name has 256 bytes, and 255 is the most'],
  [fifo({ path: 'ü'.repeat(128) }), 'its name has 256 bytes, and 255 is the most'],
  [fifo({ mtime: 2 ** 34 }), `its time ${2 ** 34} is out of range`],
  [fifo({ mtime: -(2 ** 31) - 1 }), `its time ${-(2 ** 31) - 1} is out of range`],
  [fifo({ uid: 2 ** 32 - 1 }), 'the number of its owner or group is too large'],
  [
    fifo({ xattrs: [['user.x', Buffer.alloc(4041)]] }),
    'its extended attributes take 4064 bytes beside the inode, and a block holds 4060',
  ],
  [
    fifo({ xattrs: [['foreign.x', Buffer.alloc(1)]] }),
    'ext4 has no place for the extended attribute foreign.x',
  ],
  [
    fifo({ xattrs: [['system.data', Buffer.alloc(1)]] }),
    'ext4 has no place for the extended attribute system.data',
  ],
  [
    fifo({ xattrs: [['system.posix_acl_access', Buffer.alloc(3)]] }),
    'its system.posix_acl_access is not an access control list',
  ],
  [
    fifo({ xattrs: [[`user.${'n'.repeat(256)}`, Buffer.alloc(1)]] }),
    `the name of the extended attribute user.${'n'.repeat(256)} is longer than 255 bytes`,
  ],
  [
    fifo({ xattrs: [['user.a\0b', Buffer.alloc(1)]] }),
    'the name of the extended attribute user.a\0b holds a NUL byte',
  ],
  [
    { ...owner, path: 's', kind: 'symlink', target: 'x'.repeat(4096) },
    'its target has 4096 bytes, and 4095 is the most',
  ],
  [{ ...owner, path: 's', kind: 'symlink', target: '' }, 'its target is empty'],
  [{ ...owner, path: 'c', kind: 'char', major: 4096, minor: 0 }, 'the device number 4096:0 is too large'],
  [
    { ...owner, path: 'b', kind: 'block', major: 0, minor: 2 ** 20 },
    'the device number 0:1048576 is too large',
  ],
  [
    { ...owner, path: 'huge', kind: 'file', size: 2 ** 44, segments: [] },
    'its size is 17592186044416 bytes, and 17592186036224 is the most',
  ],
];

describe('refused', () => {
  it.each(bad)('%#: an entry', (entry, why) => {
    expect(() => plan([entry])).toThrow(problem(`/${entry.path} does not fit into ext4`, why));
  });

  it('extended attributes of just a block are not', () => {
    expect(plan([fifo({ xattrs: [['user.x', Buffer.alloc(4040)]] })]).inodes).toBe(3);
  });

  it('the 65,001st name of a file', () => {
    const links = Array.from({ length: 65_000 }, (_, i): Entry => {
      return { ...owner, path: `l${i}`, kind: 'hardlink', target: 'a' };
    });
    expect(() => plan([fileEntry('a', 'x', owner), ...links], { size: 64 * MiB })).toThrow(
      problem('/a does not fit into ext4', 'it has 65001 names, and 65000 is the most'),
    );
  });

  it('several at once, up to 20', () => {
    const many = Array.from({ length: 30 }, (_, i) => fifo({ path: `${i}${'n'.repeat(256)}` }));
    const refused = (entries: readonly Entry[]) => {
      try {
        plan(entries);
      } catch (error) {
        return error instanceof Error && 'problems' in error ? error.problems : undefined;
      }
      return undefined;
    };
    expect(refused(many.slice(0, 3))).toHaveLength(3);
    expect(refused(many)).toHaveLength(20);
  });

  it('a label of 17 bytes', () => {
    expect(() => plan([], { label: 'ü23456789abcdef9' })).toThrow(
      problem('the label ü23456789abcdef9 is too long for ext4', 'it has 17 bytes, and 16 is the most'),
    );
  });

  it('more bytes than there are blocks, by as many as are missing', () => {
    const tree = (length: number) => [fileEntry('big', Buffer.alloc(length), owner)];
    const room = plan([]).free;
    expect(plan(tree(room)).free).toBe(0);
    expect(() => plan(tree(room + 1))).toThrow(
      problem(
        'the tree does not fit into an ext4 filesystem of 16777216 bytes',
        '4096 bytes more are needed',
      ),
    );
    expect(() => plan(tree(room + 10 * block))).toThrow(
      problem(
        'the tree does not fit into an ext4 filesystem of 16777216 bytes',
        '40960 bytes more are needed',
      ),
    );
  });

  it('by no more and no less than is missing, around the edges of groups', () => {
    const trees = [
      Array.from({ length: 40_000 }, (_, i) => fifo({ path: `f${i}` })),
      [{ ...owner, path: 'b', kind: 'file', size: 300 * MiB, segments: bytesOf(300 * MiB) } as const],
    ];
    for (const [i, tree] of trees.entries()) {
      for (const size of [MiB, 64 * MiB, 128 * MiB - block, 128 * MiB, 128 * MiB + 10 * block, 300 * MiB]) {
        const missing = missingIn(tree, size);
        if (missing === 0) continue;
        expect(missingIn(tree, size + missing), `tree ${i}, ${size} bytes`).toBe(0);
        const left = missingIn(tree, size + missing - block);
        expect(left, `tree ${i}, ${size} bytes`).toBeGreaterThan(0);
        expect(left, `tree ${i}, ${size} bytes`).toBeLessThanOrEqual(51 * block);
      }
    }
    // 32,768 inodes are the most of a group: one full group is not enough.
    expect(missingIn(trees[0] ?? [], 128 * MiB - block)).toBeGreaterThan(0);
  });

  it('more entries than there are inodes, by as many as are missing', () => {
    const files = Array.from({ length: 100 }, (_, i) => fifo({ path: `f${i}` }));
    // Ten are the filesystem's own, lost+found is one; the root directory is one of the ten.
    expect(plan(files, { inodes: 111 }).inodes).toBe(102);
    expect(() => plan(files, { inodes: 100 })).toThrow(
      problem('the tree does not fit into 100 inodes', '11 more are needed'),
    );
  });

  it('more entries than there are inodes, where the size is free as well', () => {
    const files = Array.from({ length: 100 }, (_, i) => fifo({ path: `f${i}` }));
    expect(plan(files, { inodes: 111, size: { reserve: 0 } }).inodes).toBe(102);
    expect(() => plan(files, { inodes: 100, size: { reserve: 0 } })).toThrow(
      problem('the tree does not fit into 100 inodes', '11 more are needed'),
    );
  });

  it('sizes that ext4 does not have', () => {
    expect(() => plan([], { size: 2 ** 45 })).toThrow(
      problem('a filesystem of 35184372088832 bytes is too large', '16 TiB is the most'),
    );
    expect(() => plan([], { size: 4096 })).toThrow('does not fit into an ext4 filesystem of 4096 bytes');
    expect(() => plan([], { size: 0 })).toThrow('does not fit into an ext4 filesystem of 0 bytes');
  });
});
