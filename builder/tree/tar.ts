// Indexes an uncompressed tar file: entries whose bytes are ranges of that file. Contents are not looked at.
// Format: POSIX.1-2017 pax (`pax`, "pax Interchange Format", "ustar Interchange Format"); GNU: "Basic Tar Format"
// and "Storing Sparse Files" in the GNU tar manual; SCHILY.xattr from star(1), LIBARCHIVE.xattr from libarchive.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Failure } from '../../formats/errors.ts';
import { type Entry, nameFromBytes, type Segment } from './entry.ts';
import { noRecords, type PaxRecords, parsePax, sparseMapOf, xattrsOf } from './pax.ts';

const BLOCK = 512;
/** Headers of small files come many to a read; larger contents are stepped over. */
const WINDOW = 128 * 1024;
const STEP = 4096;
/** What lies so near behind a window is worth another one. */
const NEAR = 16 * 1024;
/** A pax header, long name or sparse map larger than this is not believed. */
const LARGEST_HEADER = 16 * 1024 * 1024;

/** A map of what a sparse member holds: offsets and lengths in the file, in bytes, in pairs. */
export type SparseMap = readonly (readonly [offset: number, length: number])[];

/**
 * Yields the entries of a tar file in its order. Leading `./` and `/` are dropped from names and hard link targets.
 * Refuses with Failure('input', …): `..` in a name, a wrong checksum, a truncated member, a type it does not know.
 */
export function* indexTar(file: string): Generator<Entry> {
  const reader = new TarReader(file);
  try {
    yield* members(reader);
  } finally {
    reader.close();
  }
}

function* members(reader: TarReader): Generator<Entry> {
  let globals = noRecords;
  let locals = noRecords;
  let longName: string | undefined;
  let longTarget: string | undefined;
  for (let at = 0; ; ) {
    const header = readHeader(reader, at);
    if (header === undefined) return;
    const body = at + BLOCK;
    if (header.type === 'x' || header.type === 'g') {
      const records = parsePax(reader.small(body, header.size, at), (why) => reader.refuse(at, why));
      if (header.type === 'x') locals = records;
      else globals = globals.over(records);
      at = body + padded(header.size);
    } else if (header.type === 'L' || header.type === 'K') {
      const name = nameFromBytes(untilNul(reader.small(body, header.size, at)));
      if (header.type === 'L') longName = name;
      else longTarget = name;
      at = body + padded(header.size);
    } else {
      const long = longName !== undefined || longTarget !== undefined;
      const named = long
        ? { ...header, name: longName ?? header.name, target: longTarget ?? header.target }
        : header;
      const member = toEntry(reader, at, named, globals.over(locals));
      yield member.entry;
      at = member.next;
      locals = noRecords;
      longName = undefined;
      longTarget = undefined;
    }
  }
}

interface Header {
  readonly name: string;
  readonly target: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
  readonly block: Buffer;
}

function readHeader(reader: TarReader, at: number): Header | undefined {
  if (at >= reader.size) return undefined;
  const block = reader.block(at);
  if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined;
  if (number(block, 148, 8) !== checksum(block)) reader.refuse(at, 'the checksum of a header is wrong');
  const ustar = block.toString('latin1', 257, 262) === 'ustar';
  const prefix = ustar && block[263] === 0x30 ? text(block, 345, 500) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    target: text(block, 157, 257),
    type: String.fromCharCode(block[156] || 0x30),
    mode: number(block, 100, 8) & 0o7777,
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    major: ustar ? number(block, 329, 8) : 0,
    minor: ustar ? number(block, 337, 8) : 0,
    block,
  };
}

function toEntry(
  reader: TarReader,
  at: number,
  header: Header,
  pax: PaxRecords,
): { entry: Entry; next: number } {
  const refuse = (why: string): never => reader.refuse(at, why);
  const raw = pax.text('GNU.sparse.name') ?? pax.text('path') ?? header.name;
  const xattrs = pax.isEmpty ? undefined : xattrsOf(pax, refuse);
  const path = normalise(raw, refuse);
  const { mode } = header;
  const uid = pax.integer('uid', refuse) ?? header.uid;
  const gid = pax.integer('gid', refuse) ?? header.gid;
  const mtime = Math.floor(pax.decimal('mtime', refuse) ?? header.mtime);
  const body = at + BLOCK;
  if (header.type === '0' && pax.isEmpty && !raw.endsWith('/')) {
    // Most members; written out because it is faster.
    const { size } = header;
    if (body + size > reader.size) refuse(`the archive ends within ${raw}`);
    const bytes = { at: 'file', file: reader.file, offset: body, length: size } as const;
    const segments = size === 0 ? [] : [{ offset: 0, bytes }];
    return {
      entry: { path, mode, uid, gid, mtime, kind: 'file', size, segments },
      next: body + padded(size),
    };
  }
  const common = { path, mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
  const target = pax.text('linkpath') ?? header.target;
  switch (header.type) {
    case '1': // Some writers give the size of the file linked to, none of the common ones its bytes.
      return { entry: { ...common, kind: 'hardlink', target: normalise(target, refuse) }, next: body };
    case '2':
      if (target === '') refuse(`the symbolic link ${raw} has no target`);
      return { entry: { ...common, kind: 'symlink', target }, next: body };
    case '3':
    case '4': {
      const kind = header.type === '3' ? 'char' : 'block';
      return { entry: { ...common, kind, major: header.major, minor: header.minor }, next: body };
    }
    case '5':
      return { entry: { ...common, kind: 'directory' }, next: body };
    case '6':
      return { entry: { ...common, kind: 'fifo' }, next: body };
    case '0':
    case '7':
    case 'S': {
      const stored = pax.integer('size', refuse) ?? header.size;
      // Archives older than POSIX mark a directory by a slash only.
      if (header.type === '0' && raw.endsWith('/'))
        return { entry: { ...common, kind: 'directory' }, next: body };
      const content = contentOf(reader, at, header, pax, stored);
      return {
        entry: { ...common, kind: 'file', size: content.size, segments: content.segments },
        next: content.next,
      };
    }
    default:
      return refuse(`${raw} is of type '${header.type}', which edgekiln does not know`);
  }
}

interface Content {
  readonly size: number;
  readonly segments: Segment[];
  readonly next: number;
}

function contentOf(reader: TarReader, at: number, header: Header, pax: PaxRecords, stored: number): Content {
  const refuse = (why: string): never => reader.refuse(at, why);
  let body = at + BLOCK;
  let map: SparseMap | undefined;
  let size = pax.integer('GNU.sparse.realsize', refuse) ?? pax.integer('GNU.sparse.size', refuse) ?? stored;
  let end = body + stored;
  if (header.type === 'S') {
    const old = oldSparseMap(reader, at, header.block);
    map = old.map;
    size = number(header.block, 483, 12);
    body = old.body;
    end = body + stored;
  } else if (pax.text('GNU.sparse.major') === '1') {
    const head = sparseHead(reader, body, end, at);
    map = head.map;
    body = head.body;
  } else {
    map = sparseMapOf(pax, refuse);
  }
  if (end > reader.size) refuse(`the archive ends within ${header.name}`);
  const segments: Segment[] = [];
  let reached = 0;
  for (const [offset, length] of map ?? [[0, size] as const]) {
    if (offset < reached || offset + length > size || body + length > end)
      refuse('a sparse map is not in order');
    reached = offset + length;
    if (length > 0) segments.push({ offset, bytes: { at: 'file', file: reader.file, offset: body, length } });
    body += length;
  }
  return { size, segments, next: at + BLOCK + padded(end - at - BLOCK) };
}

/** The map of GNU's old sparse format: four pairs in the header, then blocks of 21. */
function oldSparseMap(reader: TarReader, at: number, header: Buffer): { map: SparseMap; body: number } {
  const map: [number, number][] = [];
  const take = (block: Buffer, start: number, count: number): void => {
    for (let i = 0; i < count && block[start + i * 24] !== 0; i++) {
      map.push([number(block, start + i * 24, 12), number(block, start + i * 24 + 12, 12)]);
    }
  };
  take(header, 386, 4);
  let body = at + BLOCK;
  for (let more = header[482] !== 0; more; body += BLOCK) {
    const block = reader.block(body);
    take(block, 0, 21);
    more = block[504] !== 0;
  }
  return { map, body };
}

/** The map of GNU's sparse format 1.0: decimal lines at the head of the member, padded to a block. */
function sparseHead(
  reader: TarReader,
  start: number,
  end: number,
  at: number,
): { map: SparseMap; body: number } {
  const numbers: number[] = [];
  let digits = '';
  for (let body = start; body < end; body += BLOCK) {
    for (const byte of reader.block(body)) {
      if (byte !== 0x0a) {
        digits += String.fromCharCode(byte);
        continue;
      }
      if (!/^[0-9]{1,15}$/.test(digits)) reader.refuse(at, 'a sparse map is not made of numbers');
      numbers.push(Number(digits));
      digits = '';
      const pairs = numbers[0] ?? 0;
      if (pairs > LARGEST_HEADER / 4) reader.refuse(at, 'a sparse map is too long');
      if (numbers.length === 1 + 2 * pairs) {
        const map = Array.from(
          { length: pairs },
          (_, i) => [numbers[1 + 2 * i] ?? 0, numbers[2 + 2 * i] ?? 0] as const,
        );
        return { map, body: body + BLOCK };
      }
    }
  }
  return reader.refuse(at, 'a sparse map does not end');
}

/** Holds an empty component, `.` or `..`. */
const unusual = /(^|\/)\.{0,2}(\/|$)/;

/** Drops leading `./` and `/` and doubled slashes; `..` would leave the tree and is refused. */
function normalise(raw: string, refuse: (why: string) => never): string {
  if (raw.includes('\0')) refuse(`a name holds a NUL byte: ${raw}`);
  if (!unusual.test(raw)) return raw;
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) refuse(`the name ${raw} leads out of the tree`);
  if (raw === '') refuse('a member has no name');
  return parts.join('/');
}

/** The sum of all bytes, those of the checksum itself taken as blanks. */
function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < 148; i++) sum += block[i] ?? 0;
  for (let i = 156; i < BLOCK; i++) sum += block[i] ?? 0;
  return sum;
}

/** The text of a field: up to its first NUL. */
function text(block: Buffer, start: number, limit: number): string {
  let end = start;
  let bits = 0;
  for (let byte = block[end] ?? 0; end < limit && byte !== 0; byte = block[++end] ?? 0) bits |= byte;
  if (end === start) return '';
  return bits < 0x80 ? block.toString('latin1', start, end) : nameFromBytes(block.subarray(start, end));
}

/** A number of a header: octal digits, or base 256 with the highest bit set. */
function number(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if (first < 0x80) {
    let value = 0;
    for (let i = start; i < start + length; i++) {
      const digit = (block[i] ?? 0) - 0x30;
      if (digit >= 0 && digit < 8) value = value * 8 + digit;
      else if (value > 0 || digit === -0x30) break;
    }
    return value;
  }
  let value = first === 0xff ? -1 : first & 0x7f;
  for (let i = start + 1; i < start + length; i++) value = value * 256 + (block[i] ?? 0);
  return value;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

/** Positional reads with a small window. */
class TarReader {
  readonly file: string;
  readonly size: number;
  readonly #fd: number;
  readonly #window = Buffer.allocUnsafe(WINDOW);
  #start = 0;
  #end = 0;

  constructor(file: string) {
    this.file = file;
    try {
      this.#fd = openSync(file, 'r');
      this.size = fstatSync(this.#fd).size;
    } catch (error) {
      throw new Failure('io', { what: 'a tar file cannot be read', where: file, why: String(error) }, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** One block; the bytes are valid until the next call. */
  block(at: number): Buffer {
    if (at < this.#start || at + BLOCK > this.#end) {
      const length = at >= this.#start && at < this.#end + NEAR ? WINDOW : STEP;
      this.#start = at;
      this.#end = at + readSync(this.#fd, this.#window, 0, length, at);
      if (this.#end < at + BLOCK) this.refuse(at, 'the archive ends within a header');
    }
    return this.#window.subarray(at - this.#start, at - this.#start + BLOCK);
  }

  /** The whole of a small member, a copy. */
  small(at: number, size: number, header: number): Buffer {
    if (size > LARGEST_HEADER) this.refuse(header, `an extended header of ${size} bytes is too large`);
    const bytes = Buffer.allocUnsafe(size);
    if (readSync(this.#fd, bytes, 0, size, at) < size)
      this.refuse(header, 'the archive ends within a header');
    return bytes;
  }

  refuse(at: number, why: string): never {
    throw new Failure('input', {
      what: `not a tar file that can be used: ${why}`,
      where: `${this.file} at byte ${at}`,
    });
  }
}
