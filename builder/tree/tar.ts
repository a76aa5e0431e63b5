// Indexes an uncompressed tar file: entries whose bytes are ranges of that file. Contents are not looked at.
// Format: POSIX.1-2017 pax (`pax`, "pax Interchange Format", "ustar Interchange Format"); GNU: "Basic Tar Format"
// and "Storing Sparse Files" in the GNU tar manual; SCHILY.xattr from star(1), LIBARCHIVE.xattr from libarchive.
import { type Entry, nameFromBytes, type Segment } from './entry.ts';
import { noRecords, type PaxRecords, parsePax, sparseMapOf, xattrsOf } from './pax.ts';
import { oldSparseMap, type SparseMap, sparseHead } from './sparse.ts';
import {
  BLOCK,
  checkNumbers,
  Header,
  padded,
  readHeader,
  TarReader,
  untilNul,
  whatIsAt,
} from './tarheader.ts';

/**
 * Yields the entries of a tar file in its order. Leading `./` and `/` are dropped from names and hard link targets.
 * Refuses with Failure('input', …): `..` in a name, a wrong checksum, a truncated member, a type it does not know, a
 * file without the archive's end.
 */
export function* indexTar(file: string): Generator<Entry> {
  const members = new Members(file);
  try {
    for (let entry = members.next(); entry !== undefined; entry = members.next()) yield entry;
  } finally {
    members.close();
  }
}

/** The members of a tar, one after another. */
class Members {
  readonly #reader: TarReader;
  readonly #header = new Header();
  #at = 0;
  #globals = noRecords;
  #locals = noRecords;
  #longName: string | undefined;
  #longTarget: string | undefined;
  #isPax = false;

  constructor(file: string) {
    this.#reader = new TarReader(file);
  }

  close(): void {
    this.#reader.close();
  }

  /** Undefined where the archive ends. */
  next(): Entry | undefined {
    const reader = this.#reader;
    const header = this.#header;
    for (;;) {
      const at = this.#at;
      if (!readHeader(reader, at, header)) {
        if (this.#isAwaited) reader.refuse(at, 'the archive ends before the member that was spoken of');
        return undefined;
      }
      if (this.#speaksOfNext(at, header)) {
        this.#at = at + BLOCK + padded(header.size);
        continue;
      }
      if (this.#longName !== undefined) header.name = this.#longName;
      if (this.#longTarget !== undefined) header.target = this.#longTarget;
      const pax = this.#globals.over(this.#locals);
      if (!pax.isEmpty) overwrite(header, pax, (why) => reader.refuse(at, why));
      checkNumbers(reader, at, header);
      if (header.type === '0' && !pax.isSpecial && !header.name.endsWith('/')) return this.#file(at, header);
      const member = toEntry(reader, at, header, pax, this.#isPax);
      this.#goOn(member.next);
      return member.entry;
    }
  }

  /** Whether something was said of a member that is yet to come. */
  get #isAwaited(): boolean {
    return this.#locals !== noRecords || this.#longName !== undefined || this.#longTarget !== undefined;
  }

  /** Keeps what a header says of the member after it; false for one that is a member itself. */
  #speaksOfNext(at: number, { type, size }: Header): boolean {
    const reader = this.#reader;
    switch (type) {
      case 'x':
      case 'g':
      case 'X': {
        this.#isPax = true;
        const records = parsePax(reader.small(at + BLOCK, size, at), (why) => reader.refuse(at, why));
        // X is what Solaris writes for x.
        if (type !== 'g') this.#locals = records;
        else this.#globals = this.#globals.replacedBy(records);
        return true;
      }
      case 'L':
        this.#longName = nameFromBytes(untilNul(reader.small(at + BLOCK, size, at)));
        return true;
      case 'K':
        this.#longTarget = nameFromBytes(untilNul(reader.small(at + BLOCK, size, at)));
        return true;
      default:
        return type === 'V'; // the name of a volume
    }
  }

  /** Most members: a file of which its header says all. */
  #file(at: number, { name, mode, uid, gid, mtime, size }: Header): Entry {
    const reader = this.#reader;
    const offset = at + BLOCK;
    const path = normalise(name, (why) => reader.refuse(at, why));
    if (offset + size > reader.size) reader.refuse(at, `the archive ends within ${name}`);
    this.#goOn(offset + padded(size));
    const bytes = { at: 'file', file: reader.file, offset, length: size } as const;
    const segments = size === 0 ? [] : [{ offset: 0, bytes }];
    return { path, mode, uid, gid, mtime, kind: 'file', size, segments };
  }

  #goOn(at: number): void {
    this.#at = at;
    this.#locals = noRecords;
    this.#longName = undefined;
    this.#longTarget = undefined;
  }
}

/** Puts what an extended header says of a member in place of what its own says. */
function overwrite(header: Header, pax: PaxRecords, refuse: (why: string) => never): void {
  header.name = pax.text('path') ?? header.name;
  header.target = pax.text('linkpath') ?? header.target;
  header.uid = pax.integer('uid', refuse) ?? header.uid;
  header.gid = pax.integer('gid', refuse) ?? header.gid;
  header.size = pax.integer('size', refuse) ?? header.size;
  header.mtime = Math.floor(pax.decimal('mtime', refuse) ?? header.mtime);
}

function toEntry(
  reader: TarReader,
  at: number,
  header: Header,
  pax: PaxRecords,
  isPax: boolean,
): { entry: Entry; next: number } {
  const refuse = (why: string): never => reader.refuse(at, why);
  const raw = pax.text('GNU.sparse.name') ?? header.name;
  const xattrs = pax.isSpecial ? xattrsOf(pax, (why) => refuse(`${raw}: ${why}`)) : undefined;
  const path = normalise(raw, refuse);
  const { mode, uid, gid, mtime, target, size } = header;
  const body = at + BLOCK;
  const common = { path, mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
  switch (header.type) {
    case '1': {
      const next = body + (size > 0 && hasLinkBytes(reader, body, size, isPax) ? padded(size) : 0);
      return { entry: { ...common, kind: 'hardlink', target: normalise(target, refuse) }, next };
    }
    case '2':
      if (target === '') refuse(`the symbolic link ${raw} has no target`);
      if (target.includes('\0')) refuse(`the target of the symbolic link ${raw} holds a NUL byte`);
      return { entry: { ...common, kind: 'symlink', target }, next: body };
    case '3':
    case '4': {
      const kind = header.type === '3' ? 'char' : 'block';
      return { entry: { ...common, kind, major: header.major, minor: header.minor }, next: body };
    }
    case '5':
      return { entry: { ...common, kind: 'directory' }, next: body };
    case 'D': // GNU tar's, with a list of the names in it.
      return { entry: { ...common, kind: 'directory' }, next: body + padded(size) };
    case '6':
      return { entry: { ...common, kind: 'fifo' }, next: body };
    case '0':
    case '7':
    case 'S': {
      // Archives older than POSIX mark a directory by a slash only.
      if (header.type === '0' && raw.endsWith('/'))
        return { entry: { ...common, kind: 'directory' }, next: body };
      const content = contentOf(reader, at, header, pax);
      return {
        entry: { ...common, kind: 'file', size: content.size, segments: content.segments },
        next: content.next,
      };
    }
    default:
      return refuse(`${raw} is of type '${header.type}', which edgekiln does not know`);
  }
}

/**
 * Whether the bytes of the file linked to follow: pax archives may have them (POSIX.1-2001), older writers gave the size
 * alone. Neither is said anywhere, so what stands at both places decides.
 */
function hasLinkBytes(reader: TarReader, body: number, size: number, isPax: boolean): boolean {
  const here = whatIsAt(reader, body);
  if (here === 'bytes') return true;
  const behind = whatIsAt(reader, body + padded(size));
  // A file may begin with zeros, and may be a tar itself: only a pax archive has such a file here.
  return here === 'end' ? behind === 'header' : isPax && behind !== 'bytes';
}

interface Content {
  readonly size: number;
  readonly segments: Segment[];
  readonly next: number;
}

function contentOf(reader: TarReader, at: number, header: Header, pax: PaxRecords): Content {
  const stored = header.size;
  const refuse = (why: string): never => reader.refuse(at, why);
  let body = at + BLOCK;
  let map: SparseMap | undefined;
  let size = pax.integer('GNU.sparse.realsize', refuse) ?? pax.integer('GNU.sparse.size', refuse) ?? stored;
  let end = body + stored;
  if (header.type === 'S') {
    const old = oldSparseMap(reader, at);
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
  if (!Number.isSafeInteger(size) || size < 0) refuse(`${header.name}: its size ${size} is out of range`);
  const segments: Segment[] = [];
  const start = body;
  let reached = 0;
  for (const [offset, length] of map ?? [[0, size] as const]) {
    if (offset < reached || length < 0 || offset + length > size || body + length > end)
      refuse('a sparse map is not in order');
    // Whether each piece begins a block or follows the one before, programs do not agree on.
    if (length > 0 && (body - start) % BLOCK !== 0)
      refuse(`${header.name}: a piece of a sparse map is no multiple of ${BLOCK} bytes`);
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
