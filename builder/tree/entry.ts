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

interface Common {
  /** Path without leading or trailing slash, components joined by `/`; '' is the root directory. */
  readonly path: string;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Modification time, whole seconds since 1970. */
  readonly mtime: number;
  /** Full names (`security.capability`, `user.x`), in ascending byte order. */
  readonly xattrs?: readonly (readonly [name: string, value: Uint8Array])[];
}

export type Entry = Common &
  (
    | { readonly kind: 'file'; readonly size: number; readonly segments: readonly Segment[] }
    | { readonly kind: 'directory' }
    | { readonly kind: 'symlink'; readonly target: string }
    /** Another name of a file that comes earlier in the tree; owner, mode, times and xattrs are that file's. */
    | { readonly kind: 'hardlink'; readonly target: string }
    | { readonly kind: 'char' | 'block'; readonly major: number; readonly minor: number }
    | { readonly kind: 'fifo' | 'socket' }
  );
