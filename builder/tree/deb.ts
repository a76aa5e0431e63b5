// Reads Debian packages (deb(5)): an ar archive of `debian-binary`, `control.tar*` and `data.tar*`.
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { Failure } from '../../formats/errors.ts';
import { decompress, type Extent } from '../artifacts/compression.ts';

const magic = '!<arch>\n';
const headerSize = 60;
/** Archives that unpack to more than this are not believed, in bytes. */
const largestControl = 64 * 1024 ** 2;
const largestData = 8 * 1024 ** 3;

/** A member of an ar archive: where its bytes are in the file. */
interface Member {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Decompresses the files of a package (`data.tar*`) into a new file, which `indexTar` reads. */
export async function unpackData(deb: string, tar: string, signal?: AbortSignal): Promise<void> {
  const member = await memberOf(deb, 'data.tar');
  await decompress(extentOf(deb, member), tar, { limit: largestData, signal });
}

/** The control file of a package: its fields, as text. */
export async function controlOf(deb: string): Promise<string> {
  const member = await memberOf(deb, 'control.tar');
  const folder = await mkdtemp(join(tmpdir(), 'edgekiln-deb-'));
  try {
    const tar = join(folder, 'control.tar');
    await decompress(extentOf(deb, member), tar, { limit: largestControl });
    for await (const entry of createReadStream(tar).pipe(extract())) {
      if (/^(\.\/)?control$/.test(entry.header.name)) return await text(entry);
      entry.resume();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  throw refuse(deb, 'its control archive holds no control file');
}

/** An ar archive in the form that deb(5) asks for; names are shorter than 16 bytes. */
export function arArchive(members: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Buffer {
  const parts = members.flatMap(({ name, bytes }) => {
    const fields = [name.padEnd(16), '0'.padEnd(12), '0'.padEnd(6), '0'.padEnd(6), '100644'.padEnd(8)];
    const header = `${fields.join('')}${String(bytes.length).padEnd(10)}\`\n`;
    return [Buffer.from(header, 'latin1'), bytes, Buffer.from(bytes.length % 2 === 1 ? '\n' : '')];
  });
  return Buffer.concat([Buffer.from(magic), ...parts]);
}

async function memberOf(deb: string, stem: string): Promise<Member> {
  const found = (await membersOf(deb)).find((member) => member.name.startsWith(stem));
  if (found === undefined) throw refuse(deb, `it has no ${stem}`);
  return found;
}

async function membersOf(deb: string): Promise<Member[]> {
  const handle = await open(deb, 'r');
  try {
    const { size: end } = await handle.stat();
    const start = Buffer.alloc(magic.length);
    await handle.read(start, 0, start.length, 0);
    if (start.toString('latin1') !== magic) throw refuse(deb, 'it does not begin as an ar archive');
    const members: Member[] = [];
    const header = Buffer.alloc(headerSize);
    for (let at = magic.length; at < end; ) {
      await handle.read(header, 0, headerSize, at);
      const text = header.toString('latin1');
      const size = /^\d+ *$/.test(text.slice(48, 58)) ? Number(text.slice(48, 58)) : Number.NaN;
      const offset = at + headerSize;
      if (!text.endsWith('`\n') || !(offset + size <= end)) throw refuse(deb, `it is broken at byte ${at}`);
      members.push({ name: text.slice(0, 16).trim().replace(/\/$/, ''), offset, size });
      at = offset + size + (size % 2);
    }
    return members;
  } finally {
    await handle.close();
  }
}

function extentOf(deb: string, { offset, size }: Member): Extent {
  return { file: deb, offset, length: size };
}

function refuse(deb: string, why: string): Failure {
  return new Failure('input', { what: 'not a Debian package that can be read', where: deb, why });
}
