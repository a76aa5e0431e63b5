// The extended headers of tar: `LENGTH KEY=VALUE\n` records, and what is said in them.
import { aclFromText } from './acl.ts';
import { nameFromBytes, nameToBytes, type Xattrs } from './entry.ts';
import type { SparseMap } from './sparse.ts';

const SCHILY = 'SCHILY.xattr.';

/** What a header could say, too. */
const plain: ReadonlySet<string> = new Set(['path', 'linkpath', 'size', 'uid', 'gid', 'mtime']);
const special = ['GNU.sparse.', 'SCHILY.', 'LIBARCHIVE.'] as const;

function isSpecial(key: string): boolean {
  for (const prefix of special) if (key.startsWith(prefix)) return true;
  return false;
}

type Refuse = (why: string) => never;

/** Records of one or more extended headers; later ones win. Values are bytes: names and xattrs need not be UTF-8. */
export class PaxRecords {
  readonly #records: readonly (readonly [key: string, value: Buffer])[];

  constructor(records: readonly (readonly [key: string, value: Buffer])[]) {
    this.#records = records;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  /** Whether more is said than a header could say of a member: attributes, or holes. */
  get isSpecial(): boolean {
    for (const [key] of this.#records) if (isSpecial(key)) return true;
    return false;
  }

  /** These records with `later` over them. */
  over(later: PaxRecords): PaxRecords {
    if (this.isEmpty) return later;
    if (later.isEmpty) return this;
    return new PaxRecords([...this.#records, ...later.#records]);
  }

  /** As `over`, and forgets what counts no longer: archives may have a global header before every member. */
  replacedBy(later: PaxRecords): PaxRecords {
    return new PaxRecords([...new Map([...this.#records, ...later.#records])]);
  }

  all(): readonly (readonly [key: string, value: Buffer])[] {
    return this.#records;
  }

  text(key: string): string | undefined {
    for (let i = this.#records.length - 1; i >= 0; i--) {
      const record = this.#records[i];
      // An empty value takes an earlier record back.
      if (record?.[0] === key) return record[1].length === 0 ? undefined : nameFromBytes(record[1]);
    }
    return undefined;
  }

  integer(key: string, refuse: Refuse): number | undefined {
    if (this.isEmpty) return undefined;
    const value = this.decimal(key, refuse);
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0))
      refuse(`${key} is not a whole number`);
    return value;
  }

  decimal(key: string, refuse: Refuse): number | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    if (!/^-?[0-9]+(\.[0-9]*)?$/.test(text)) refuse(`${key} is not a number: ${text}`);
    return Number(text);
  }
}

export const noRecords = new PaxRecords([]);

function isDigit(byte = 0): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** Reads the records of one extended header. */
export function parsePax(bytes: Buffer, refuse: Refuse): PaxRecords {
  const records: [string, Buffer][] = [];
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    let length = 0;
    let space = at;
    for (; isDigit(bytes[space]); space++) length = length * 10 + (bytes[space] ?? 0) - 0x30;
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    const whole = end <= bytes.length && equals > space && equals < end;
    if (!whole || bytes[space] !== 0x20 || bytes[end - 1] !== 0x0a)
      return refuse('an extended header cannot be read');
    const key = bytes.toString('latin1', space + 1, equals);
    // Others, as the times of access and change, would only be carried along.
    if (plain.has(key)) records.push([key, bytes.subarray(equals + 1, end - 1)]);
    else if (isSpecial(key)) {
      records.push([nameFromBytes(bytes.subarray(space + 1, equals)), bytes.subarray(equals + 1, end - 1)]);
    }
    at = end;
  }
  return new PaxRecords(records);
}

/** Extended attributes in byte order of their names; undefined if there are none. */
export function xattrsOf(pax: PaxRecords, refuse: Refuse): Xattrs | undefined {
  const found = new Map<string, Uint8Array>();
  for (const [key, value] of pax.all()) {
    if (key.startsWith('LIBARCHIVE.xattr.')) {
      const name = decodeName(key.slice(17), refuse);
      if (!found.has(name)) found.set(name, Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  for (const [key, value] of pax.all()) {
    // libarchive writes both forms; this one keeps the value as it is. GNU tar writes = and % of names like this.
    if (key.startsWith(SCHILY))
      found.set(key.slice(SCHILY.length).replaceAll('%3D', '=').replaceAll('%25', '%'), value);
  }
  for (const kind of ['access', 'default']) {
    const text = pax.text(`SCHILY.acl.${kind}`);
    const name = `system.posix_acl_${kind}`;
    if (text === undefined || found.has(name)) continue;
    const value = aclFromText(text);
    if (typeof value === 'string') refuse(value);
    // One of three entries says nothing that the mode does not.
    else if (kind === 'default' || value.length > 4 + 3 * 8) found.set(name, value);
  }
  if (found.size === 0) return undefined;
  return [...found].sort(([a], [b]) => Buffer.compare(nameToBytes(a), nameToBytes(b)));
}

function decodeName(encoded: string, refuse: Refuse): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return refuse(`the name of an extended attribute cannot be read: ${encoded}`);
  }
}

/** The map of GNU's sparse formats 0.1 (one list) and 0.0 (repeated keys); undefined for a file without holes. */
export function sparseMapOf(pax: PaxRecords, refuse: Refuse): SparseMap | undefined {
  const list = pax.text('GNU.sparse.map');
  const numbers: string[] = [];
  if (list !== undefined) numbers.push(...list.split(','));
  else {
    for (const [key, value] of pax.all()) {
      if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
        numbers.push(value.toString('latin1'));
    }
    if (numbers.length === 0) return undefined;
  }
  const map: [number, number][] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    const [offset, length] = [numbers[i] ?? '', numbers[i + 1] ?? ''];
    if (!/^[0-9]{1,15}$/.test(offset) || !/^[0-9]{1,15}$/.test(length)) refuse('a sparse map cannot be read');
    map.push([Number(offset), Number(length)]);
  }
  return map;
}
