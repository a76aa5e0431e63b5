// What the kernel and e2fsck make of a filesystem that holds everything it may hold.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type Entry, nameFromBytes, nameToBytes, type Xattrs } from '../../tree/entry.ts';
import { Tree } from '../../tree/tree.ts';
import { writeToFile } from '../output.ts';
import { expectSame, mayMount, mounted } from './mount.fixture.ts';
import { planExt4 } from './plan.ts';
import { openExt4 } from './read.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-ext4-'));
afterAll(() => rmSync(folder, { recursive: true }));
const image = join(folder, 'image');
const MiB = 1024 ** 2;
const identity = {
  uuid: Buffer.alloc(16, 7),
  hashSeed: Buffer.from('0123456789abcdef'),
  label: 'root',
  time: 1e9,
};
const owner = { mode: 0o640, uid: 70_000, gid: 1, mtime: 1_600_000_000 };

function file(path: string, bytes: Uint8Array, xattrs?: Xattrs): Entry {
  const segments = bytes.length === 0 ? [] : [{ offset: 0, bytes: { at: 'memory' as const, bytes } }];
  return { ...owner, path, kind: 'file', size: bytes.length, segments, ...(xattrs ? { xattrs } : {}) };
}

function sparse(
  path: string,
  size: number,
  pieces: readonly (readonly [offset: number, length: number])[],
): Entry {
  const segments = pieces.map(([offset, length]) => {
    return { offset, bytes: { at: 'memory' as const, bytes: Buffer.alloc(length, 1 + (offset % 250)) } };
  });
  return { ...owner, path, kind: 'file', size, segments };
}

/** An access control list as programs see it: tag, permissions, id. */
function acl(entries: readonly (readonly [tag: number, perm: number, id: number])[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  for (const [i, [tag, perm, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(perm, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return bytes;
}

const nobody = 0xffff_ffff;
const access = acl([
  [0x01, 6, nobody],
  [0x02, 7, 1000],
  [0x02, 4, 100_000],
  [0x04, 4, nobody],
  [0x08, 5, 50],
  [0x10, 7, nobody],
  [0x20, 0, nobody],
]);
/** cap_net_raw=ep, revision 2. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** Writes a tree, lets e2fsck judge, reads it back, and has the kernel show it. */
async function expectWhole(entries: readonly Entry[], size: number): Promise<void> {
  const tree = new Tree();
  tree.merge(entries);
  const all = [...tree.entries()].map((entry) => (entry.path === '' ? { ...entry, mtime: 0 } : entry));
  await writeToFile(planExt4(tree, { ...identity, size }), image);
  tree.close();
  execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
  const reader = openExt4(image);
  const read = [...reader.entries()].filter(({ path }) => path !== 'lost+found');
  const shape = (some: readonly Entry[]) =>
    some.map((entry) => {
      const { path, kind, mode, uid, gid, mtime } = entry;
      const xattrs = entry.xattrs?.map(([name, value]) => [name, Buffer.from(value).toString('hex')]) ?? [];
      return { path, kind, mode, uid, gid, mtime, xattrs: kind === 'hardlink' ? [] : xattrs };
    });
  expect(shape(read)).toEqual(shape(all));
  for (const entry of all) {
    if (entry.kind !== 'file' || entry.size > 64 * MiB) continue;
    const bytes = Buffer.alloc(entry.size);
    for (const segment of entry.segments) {
      if (segment.bytes.at === 'memory') bytes.set(segment.bytes.bytes, segment.offset);
    }
    expect(reader.read(entry.path).equals(bytes)).toBe(true);
  }
  reader.close();
  if (mayMount) mounted(image, (at) => expectSame(all, at));
}

describe('an ext4 filesystem', () => {
  it('holds all that a Linux filesystem holds', { timeout: 60_000 }, async () => {
    const full: Xattrs = [
      ['security.capability', capability],
      ['trusted.overlay.opaque', Buffer.from('y')],
      ['user.empty', Buffer.alloc(0)],
      ['user.long', Buffer.alloc(3900, 9)],
    ];
    const invalid = nameFromBytes(Buffer.from([0x61, 0xff, 0x80, 0xc3, 0x62]));
    await expectWhole(
      [
        file('empty', Buffer.alloc(0)),
        file('one', Buffer.from('1')),
        file('block', Buffer.alloc(4096, 4)),
        file('block and one', Buffer.alloc(4097, 5)),
        file('ping', Buffer.from('raw'), [['security.capability', capability]]),
        file('shared', Buffer.from('list'), [
          ['system.posix_acl_access', access],
          ['user.note', Buffer.from('short')],
        ]),
        file('full', Buffer.from('attributes'), full),
        {
          ...owner,
          path: 'folder',
          kind: 'directory',
          mode: 0o2770,
          xattrs: [
            ['system.posix_acl_access', access],
            ['system.posix_acl_default', access],
          ],
        },
        file('folder/first', Buffer.from('linked')),
        ...Array.from({ length: 300 }, (_, i): Entry => {
          return { ...owner, path: `links/${i}`, kind: 'hardlink', target: 'folder/first' };
        }),
        { ...owner, path: 'pipe hard', kind: 'fifo', mode: 0o600 },
        ...[1, 59, 60, 4000, 4095].map((length): Entry => {
          return {
            ...owner,
            path: `symlink ${length}`,
            kind: 'symlink',
            mode: 0o777,
            target: 'x'.repeat(length),
          };
        }),
        { ...owner, path: 'null', kind: 'char', major: 1, minor: 3 },
        { ...owner, path: 'big', kind: 'block', major: 259, minor: 300_000 },
        { ...owner, path: 'zero', kind: 'char', major: 0, minor: 0 },
        { ...owner, path: 'largest', kind: 'char', major: 0xfff, minor: 0xfffff },
        { ...owner, path: 'socket', kind: 'socket', mode: 0o777 },
        { ...owner, path: 'sticky', kind: 'directory', mode: 0o7777, uid: 0xffff_fffe, gid: 65_536 },
        { ...file('early', Buffer.from('1901')), mtime: -0x8000_0000 },
        { ...file('late', Buffer.from('2446')), mtime: 0x3_7fff_ffff },
        { ...file('2038', Buffer.from('2038')), mtime: 0x8000_0000 },
        file('n'.repeat(255), Buffer.from('long name')),
        file(invalid, Buffer.from('not UTF-8')),
        file('ü'.repeat(127), Buffer.from('UTF-8')),
        file(`${Array.from({ length: 60 }, (_, i) => `level ${i}`).join('/')}/end`, Buffer.from('deep')),
        sparse('hole', 10 * MiB, []),
        sparse('hole first', 1_000_000, [[999_000, 1000]]),
        sparse('holes', 9 * MiB + 17, [
          [0, 10],
          [5000, 10],
          [MiB, 8192],
          [5 * MiB + 1, 70_000],
        ]),
        sparse(
          '1000 extents',
          8 * MiB,
          Array.from({ length: 1000 }, (_, i) => [i * 8192, 4096] as const),
        ),
        sparse('6 GiB', 6 * 1024 * MiB, [
          [0, 4],
          [3 * 1024 * MiB, 5000],
          [6 * 1024 * MiB - 3, 3],
        ]),
      ],
      64 * MiB,
    );
  });

  it('finds 60,000 names of one directory by their hashes', { timeout: 60_000 }, async () => {
    // Also bytes from 0x80 on, which a signed hash would put elsewhere.
    const names = Array.from({ length: 60_000 }, (_, i) =>
      i % 3 === 0
        ? `name ${i}`
        : i % 3 === 1
          ? `ÿä${i}中`
          : nameFromBytes(Buffer.concat([Buffer.from(`${i}`), Buffer.from([0xff, 0x80 + (i % 64)])])),
    );
    const tree = new Tree();
    tree.merge(names.map((name, i): Entry => ({ ...owner, path: `many/${name}`, kind: 'fifo', uid: i })));
    await writeToFile(planExt4(tree, { ...identity, size: { reserve: 0 } }), image);
    tree.close();
    execFileSync('e2fsck', ['-fn', image], { stdio: 'pipe' });
    if (!mayMount) return;
    mounted(image, (at) => {
      const found = names.filter((name, i) => lstatSync(at(`many/${name}`)).uid === i).length;
      expect(found).toBe(60_000);
      expect(() => lstatSync(at('many/none'))).toThrow('ENOENT');
    });
  });

  it('has features that Linux 4.14 knows, as dumpe2fs lists them', async () => {
    const tree = new Tree();
    tree.merge([file('a', Buffer.from('a'))]);
    await writeToFile(planExt4(tree, { ...identity, size: 300 * MiB }), image);
    const said = execFileSync('dumpe2fs', [image], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    await expect(said.replace(/ +\n/g, '\n')).toMatchFileSnapshot('golden/dumpe2fs.txt');
  });

  it('of any tree is the same to e2fsck, reader and kernel', { timeout: 60_000 }, async () => {
    const name = fc
      .oneof(
        { weight: 4, arbitrary: fc.stringMatching(/^[a-zA-Z0-9._-]{1,12}$/) },
        { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 255 }).map(nameFromBytes) },
      )
      .filter((text) => !/^\.{1,2}$|[/\0]/.test(text) && nameToBytes(text).length <= 255);
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const inode = fc.record({
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.integer({ min: 0, max: 0xffff_fffe }),
      gid: fc.integer({ min: 0, max: 0xffff_fffe }),
      mtime: fc.integer({ min: -0x8000_0000, max: 0x3_7fff_ffff }),
    });
    const pieces = fc
      .array(fc.tuple(fc.nat({ max: 40_000 }), fc.integer({ min: 1, max: 20_000 })), { maxLength: 6 })
      .map((list) => {
        let at = 0;
        return list.map(([gap, length]) => {
          const offset = at + gap;
          at = offset + length;
          return [offset, length] as const;
        });
      });
    const content = fc.oneof(
      fc.tuple(pieces, fc.nat({ max: 100_000 })).map(([list, tail]) => {
        const last = list.at(-1);
        return sparse('', (last === undefined ? 0 : last[0] + last[1]) + tail, list);
      }),
      fc.uint8Array({ maxLength: 9000 }).map((bytes) => file('', bytes)),
      fc.constant<Entry>({ ...owner, path: '', kind: 'directory' }),
      fc
        .string({ minLength: 1, maxLength: 200 })
        .filter((text) => !text.includes('\0'))
        .map((target): Entry => ({ ...owner, path: '', kind: 'symlink', mode: 0o777, target })),
      fc
        .tuple(fc.nat({ max: 0xfff }), fc.nat({ max: 0xfffff }))
        .map(([major, minor]): Entry => ({ ...owner, path: '', kind: 'block', major, minor })),
    );
    const xattrs = fc
      .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z.]{1,40}$/), fc.uint8Array({ maxLength: 300 })), {
        maxLength: 5,
        selector: ([key]) => key,
      })
      .map(
        (list): Xattrs =>
          list.map(([key, value]) => [`trusted.${key}`, value] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
      );
    const entries = fc.array(
      fc.tuple(path, inode, content, xattrs).map(([at, ids, what, attributes]): Entry => {
        const mode = what.kind === 'symlink' ? 0o777 : ids.mode;
        return { ...what, ...ids, mode, path: at, ...(attributes.length > 0 ? { xattrs: attributes } : {}) };
      }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(entries, async (list) => {
        // A file where a directory must be is refused; the tree's own tests see to that.
        const ways = new Set(
          list.flatMap(({ path: at }) =>
            at
              .split('/')
              .slice(0, -1)
              .map((_, i, parts) => parts.slice(0, i + 1).join('/')),
          ),
        );
        await expectWhole(
          list.filter((entry) => entry.kind === 'directory' || !ways.has(entry.path)),
          16 * MiB,
        );
      }),
      { numRuns: 30 },
    );
  });
});
