// What programs write into tar files beside the plain formats.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from './entry.ts';
import { parsePax } from './pax.ts';
import { indexTar } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-dialects-'));
afterAll(() => rmSync(folder, { recursive: true }));
const shell = (script: string): void => {
  execFileSync('sh', ['-euc', script], { cwd: folder, env: { ...process.env, LC_ALL: 'C.UTF-8' } });
};
const indexed = (name: string): Map<string, Entry> =>
  new Map([...indexTar(join(folder, name))].map((entry) => [entry.path, entry]));

describe('the index of a tar file', () => {
  it('reads names of extended attributes as GNU tar writes them, and lists in text', async () => {
    const archive = pack();
    const acl = 'user::rw-,user:web:r--:1000,group::r--,g:50:r-x,mask::rwx,other::---';
    archive.entry({ name: 'a', pax: { 'SCHILY.xattr.user.a%3Db%25c': 'v' } }, 'x');
    archive.entry({ name: 'b', pax: { 'SCHILY.acl.access': acl } }, 'x');
    archive.entry({ name: 'c', pax: { 'SCHILY.acl.access': 'user::rw-\ngroup::r--\nother::r--\n' } }, 'x');
    archive.finalize();
    writeFileSync(join(folder, 'acl.tar'), await buffer(archive));
    const entries = indexed('acl.tar');
    expect(entries.get('a')?.xattrs?.map(([name]) => name)).toEqual(['user.a=b%c']);
    const entry = (tag: number, permissions: number, id: number) =>
      Buffer.from(Uint16Array.of(tag, permissions, id & 0xffff, id >>> 16).buffer).toString('hex');
    const expected = [
      entry(0x01, 6, -1),
      entry(0x02, 4, 1000),
      entry(0x04, 4, -1),
      entry(0x08, 5, 50),
      entry(0x10, 7, -1),
      entry(0x20, 0, -1),
    ];
    expect(
      entries.get('b')?.xattrs?.map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
    ).toEqual([['system.posix_acl_access', `02000000${expected.join('')}`]]);
    expect(entries.get('c')?.xattrs).toBeUndefined();
  });

  it('reads what GNU tar, Solaris and old programs write beside files', () => {
    shell(`rm -rf g && mkdir -p g/sub && printf hello > g/sub/file && ln g/sub/file g/sub/link
      tar -C g --format=gnu --label=VOLUME --sort=name -g snapshot -cf gnu.tar .`);
    expect([...indexed('gnu.tar').keys()]).toEqual(['', 'sub', 'sub/file', 'sub/link']);
    const header = (name: string, type: string, size: number, signed = false): Buffer => {
      const block = Buffer.alloc(512);
      block.write(name, 0, 'latin1');
      block.write(`0000644\0${'0000000\0'.repeat(2)}${size.toString(8).padStart(11, '0')}\0`, 100);
      block.write(`00000000001\0        ${type}file`, 136);
      const sum = block.reduce((total, byte) => total + (signed && byte > 127 ? byte - 256 : byte), 0);
      block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return block;
    };
    const body = Buffer.alloc(512, 'bytes');
    const read = (...blocks: Buffer[]): [string, string, number][] => {
      writeFileSync(join(folder, 'old.tar'), Buffer.concat([...blocks, Buffer.alloc(1024)]));
      return [...indexTar(join(folder, 'old.tar'))].map(({ path, kind, mtime }) => [path, kind, mtime]);
    };
    const file = header('file', '0', 5);
    expect(read(header('caf\xe9', '0', 0, true))).toEqual([['caf\udce9', 'file', 1]]);
    expect(read(file, body, header('l', '1', 5), body, header('z', '0', 0)).map(([path]) => path)).toEqual([
      'file',
      'l',
      'z',
    ]);
    expect(read(file, body, header('l', '1', 5), header('z', '0', 0)).map(([path]) => path)).toEqual([
      'file',
      'l',
      'z',
    ]);
    expect(read(header('X', 'X', 12), Buffer.from('12 mtime=77\n'.padEnd(512, '\0')), file, body)).toEqual([
      ['file', 'file', 77],
    ]);
  });

  it('keeps only the last of each global record: archives may have one before every member', () => {
    shell('printf x > one; tar --format=ustar --owner=0 --group=0 -cf one.tar one');
    const one = readFileSync(join(folder, 'one.tar')).subarray(0, 1024);
    const record = (i: number): Buffer => Buffer.from(`12 mtime=${10 + i}\n`);
    const global = (i: number): Buffer => {
      const header = Buffer.from(one.subarray(0, 512));
      header.write('00000000014\0', 124);
      header.write('        g', 148);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      return Buffer.concat([header, record(i), Buffer.alloc(500)]);
    };
    const blocks = Array.from({ length: 90 }, (_, i) => [global(i), one]).flat();
    writeFileSync(join(folder, 'globals.tar'), Buffer.concat([...blocks, one, Buffer.alloc(1024)]));
    const times = [...indexTar(join(folder, 'globals.tar'))].map(({ mtime }) => mtime);
    expect(times).toEqual([...Array.from({ length: 90 }, (_, i) => 10 + i), 99]);
    const fail = (why: string): never => expect.fail(why);
    let records = parsePax(record(0), fail);
    for (let i = 1; i < 90; i++) records = records.replacedBy(parsePax(record(i), fail));
    expect(records.all()).toEqual([['mtime', Buffer.from('99')]]);
  });

  it('refuses an access control list that names somebody without a number', async () => {
    const archive = pack();
    const acl = 'user::rw-,user:web:r--,group::r--,other::---';
    archive.entry({ name: 'f', pax: { 'SCHILY.acl.access': acl } }, 'x');
    archive.finalize();
    writeFileSync(join(folder, 'bad.tar'), await buffer(archive));
    expect(() => indexed('bad.tar')).toThrow(
      "f: its access control list names user web without a number (tar --xattrs-include='*' keeps it)",
    );
  });
});
