// Indexes an uncompressed tar file: entries whose bytes are ranges of that file. Contents are not looked at.
// Format: POSIX.1-2017 pax (`pax`, "pax Interchange Format", "ustar Interchange Format"); GNU: "Basic Tar Format"
// and "Storing Sparse Files" in the GNU tar manual; SCHILY.xattr from star(1), LIBARCHIVE.xattr from libarchive.
import { type Entry, nameFromBytes, type Segment } from './entry.ts';
import { noRecords, type PaxRecords, parsePax, sparseMapOf, xattrsOf } from './pax.ts';
import { oldSparseMap, type SparseMap, sparseHead } from './sparse.ts';
import { BLOCK, type Header, mayBeHeader, padded, readHeader, TarReader, untilNul } from './tarheader.ts';

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
    if (header.type === 'x' || header.type === 'g' || header.type === 'X') {
      const records = parsePax(reader.small(body, header.size, at), (why) => reader.refuse(at, why));
      // X is what Solaris writes for x.
      if (header.type !== 'g') locals = records;
      else globals = globals.replacedBy(records);
      at = body + padded(header.size);
    } else if (header.type === 'L' || header.type === 'K') {
      const name = nameFromBytes(untilNul(reader.small(body, header.size, at)));
      if (header.type === 'L') longName = name;
      else longTarget = name;
      at = body + padded(header.size);
    } else if (header.type === 'V') {
      at = body + padded(header.size); // the name of a volume
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

function toEntry(
  reader: TarReader,
  at: number,
  header: Header,
  pax: PaxRecords,
): { entry: Entry; next: number } {
  const refuse = (why: string): never => reader.refuse(at, why);
  const raw = pax.text('GNU.sparse.name') ?? pax.text('path') ?? header.name;
  const xattrs = pax.isEmpty ? undefined : xattrsOf(pax, (why) => refuse(`${raw}: ${why}`));
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
    case '1': {
      // Some writers give the size of the file linked to, few its bytes as well.
      const stored = pax.integer('size', refuse) ?? header.size;
      const bytes = stored > 0 && !mayBeHeader(reader, body) ? padded(stored) : 0;
      return {
        entry: { ...common, kind: 'hardlink', target: normalise(target, refuse) },
        next: body + bytes,
      };
    }
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
    case 'D': // GNU tar's, with a list of the names in it.
      return { entry: { ...common, kind: 'directory' }, next: body + padded(header.size) };
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
    size = old.size;
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
