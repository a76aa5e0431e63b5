// What a tree is made of. An entry says where its bytes are; nobody holds them.

/** Bytes that are somewhere: in memory (small, generated) or a range of a file of the store. */
export type Bytes =
  | { readonly at: 'memory'; readonly bytes: Uint8Array }
  | { readonly at: 'file'; readonly file: string; readonly offset: number; readonly length: number };

/** A run of a file that holds data; what no segment covers is a hole and reads as zeros. */
export interface Segment {
  /** Offset in the file, in bytes. */
  readonly offset: number;
  readonly bytes: Bytes;
}

/** Full names (`security.capability`, `user.x`), in ascending byte order. */
export type Xattrs = readonly (readonly [name: string, value: Uint8Array])[];

interface Common {
  /**
   * Path without leading or trailing slash, components joined by `/`; '' is the root directory. A byte that is not
   * UTF-8 is the lone surrogate U+DC00 + byte, see `nameFromBytes`.
   */
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Modification time, whole seconds since 1970. */
  readonly mtime: number;
  readonly xattrs?: Xattrs;
}

export type Entry = Common &
  /** Segments are in ascending order, do not overlap and end at `size` at the latest. */
  (
    | { readonly kind: 'file'; readonly size: number; readonly segments: readonly Segment[] }
    | { readonly kind: 'directory' }
    | { readonly kind: 'symlink'; readonly target: string }
    /** Another name of a file that comes earlier in the tree; owner, mode, times and xattrs are that file's. */
    | { readonly kind: 'hardlink'; readonly target: string }
    | { readonly kind: 'char' | 'block'; readonly major: number; readonly minor: number }
    | { readonly kind: 'fifo' | 'socket' }
  );

/**
 * Something with entries that can be gone through again and again, always the same: parents before children, all that
 * is below a directory right after it, the first name of a file before its hard links. `Tree` is one.
 */
export interface EntrySource {
  entries(): Iterable<Entry>;
}

/** How many bytes these are. */
export function lengthOf(bytes: Bytes): number {
  return bytes.at === 'memory' ? bytes.bytes.length : bytes.length;
}

/**
 * A file name as text. Names are bytes to Linux: each byte that is not part of valid UTF-8 becomes the lone
 * surrogate U+DC00 + byte (as Python's surrogateescape does), so that every name survives a round trip.
 */
export function nameFromBytes(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let bits = 0;
  for (let at = 0; at < bytes.length; at++) bits |= bytes[at] ?? 0;
  if (bits < 0x80) return buffer.toString('latin1');
  let text = '';
  let valid = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += buffer.toString('utf8', valid, at) + String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      valid = at + 1;
    }
    at += length || 1;
  }
  return text + buffer.toString('utf8', valid);
}

/** The bytes of a name made by `nameFromBytes` or written by hand. */
export function nameToBytes(name: string): Uint8Array {
  let ascii = true;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) >= 0x80) ascii = false;
  if (ascii) return Buffer.from(name, 'latin1');
  if (!/[\udc80-\udcff]/.test(name)) return Buffer.from(name, 'utf8');
  const parts: Uint8Array[] = [];
  for (const char of name) {
    const code = char.codePointAt(0) ?? 0;
    const escaped = code >= 0xdc80 && code <= 0xdcff;
    parts.push(escaped ? Uint8Array.of(code - 0xdc00) : Buffer.from(char, 'utf8'));
  }
  return Buffer.concat(parts);
}

/**
 * Length of the valid UTF-8 sequence at `at`; 0 if there is none. Source: table 3-7 (well-formed byte sequences) of the
 * Unicode standard: no longer form than needed, no surrogates, nothing above U+10FFFF.
 */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const second = bytes[at + 1] ?? 0;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let i = at + 2; i < at + length; i++) if (((bytes[i] ?? 0) & 0xc0) !== 0x80) return 0;
  return length;
}
