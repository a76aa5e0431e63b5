// Two filesystems side by side: which files came, went and changed.
import { closeSync, openSync, readSync } from 'node:fs';
import type { Ext4Reader } from '../disk/ext4/read.ts';
import type { Entry } from '../tree/entry.ts';

/** One path that is not the same; `what` names what changed of it. */
export interface PathChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Such as `size 12 → 14`, `mode 644 → 755`, `content`. */
  readonly what: readonly string[];
}

/** A filesystem, and the file it is in. */
export interface Slot {
  readonly file: string;
  readonly reader: Ext4Reader;
}

/** All that differs, in the order of the tree. Times are left out: they say nothing of a device. */
export function compareTrees(before: Slot, after: Slot): PathChange[] {
  const old = new Map([...before.reader.entries()].map((entry) => [entry.path, entry]));
  const changes: PathChange[] = [];
  const [first, second] = [new Contents(before.file), new Contents(after.file)];
  try {
    for (const entry of after.reader.entries()) {
      const former = old.get(entry.path);
      old.delete(entry.path);
      if (former === undefined) changes.push({ path: entry.path, change: 'added', what: [summary(entry)] });
      else {
        const what = differences(former, entry, (a, b) => sameContent(first, a, second, b));
        if (what.length > 0) changes.push({ path: entry.path, change: 'changed', what });
      }
    }
  } finally {
    first.close();
    second.close();
  }
  for (const entry of old.values())
    changes.push({ path: entry.path, change: 'removed', what: [summary(entry)] });
  return changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

type File = Entry & { kind: 'file' };

function differences(a: Entry, b: Entry, same: (a: File, b: File) => boolean): string[] {
  const what: string[] = [];
  const tell = (name: string, from: unknown, to: unknown) => {
    if (from !== to) what.push(`${name} ${String(from)} → ${String(to)}`);
  };
  tell('kind', a.kind, b.kind);
  tell('mode', a.mode.toString(8), b.mode.toString(8));
  tell('owner', `${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`);
  if (xattrsText(a) !== xattrsText(b)) what.push('extended attributes');
  if ('target' in a && 'target' in b) tell('target', a.target, b.target);
  if ('major' in a && 'major' in b) tell('device', `${a.major}:${a.minor}`, `${b.major}:${b.minor}`);
  if (a.kind === 'file' && b.kind === 'file') {
    tell('size', a.size, b.size);
    if (a.size === b.size && !same(a, b)) what.push('content');
  }
  return what;
}

function xattrsText({ xattrs = [] }: Entry): string {
  return xattrs.map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`).join('\n');
}

function summary(entry: Entry): string {
  return entry.kind === 'file' ? `${entry.size} bytes` : entry.kind;
}

/** Reads the bytes of entries out of one file. */
class Contents {
  readonly #descriptor: number;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'r');
  }

  /** Bytes of a file of the tree from `start` on; holes are zeros. */
  read(entry: File, start: number, into: Buffer): void {
    into.fill(0);
    for (const { offset, bytes } of entry.segments) {
      if (bytes.at !== 'file') continue;
      const from = Math.max(start, offset);
      const until = Math.min(start + into.length, offset + bytes.length);
      if (from < until)
        readSync(this.#descriptor, into, from - start, until - from, bytes.offset + from - offset);
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

const piece = 1024 * 1024;

function sameContent(first: Contents, a: File, second: Contents, b: File): boolean {
  const [left, right] = [Buffer.alloc(Math.min(piece, a.size)), Buffer.alloc(Math.min(piece, a.size))];
  for (let at = 0; at < a.size; at += piece) {
    const length = Math.min(piece, a.size - at);
    first.read(a, at, left.subarray(0, length));
    second.read(b, at, right.subarray(0, length));
    if (!left.subarray(0, length).equals(right.subarray(0, length))) return false;
  }
  return true;
}
