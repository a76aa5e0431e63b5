// Two images side by side: their tables and stamps, and which files of their filesystems came, went and changed.
import { closeSync, openSync, readSync } from 'node:fs';
import type { Entry } from '../tree/entry.ts';
import type { DiskImage, StampFound } from './open.ts';

/** One path that is not the same; `what` names what changed of it. */
export interface PathChange {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Such as `size 12 → 14`, `mode 644 → 755`, `content`. */
  readonly what: readonly string[];
}

/** A filesystem, and the file it is in. */
interface Filesystem {
  readonly file: string;
  readonly reader: { entries(): Iterable<Entry>; close(): void };
}

export interface ImageChange {
  /** Such as `partition slot-a`, `stamp: device alpha → beta`. */
  readonly facts: readonly string[];
  readonly esp: readonly PathChange[];
  /** Of slot A. */
  readonly files: readonly PathChange[];
}

/** All that differs of two images as they are flashed, but for slot B and data, which are empty then. */
export function compareImages(before: DiskImage, after: DiskImage): ImageChange {
  const [left, right] = [before.stamp(), after.stamp()];
  // The stamp vouches for what was flashed; a slot with the same digest needs no look.
  const same = left.valid && right.valid && left.stamp.slot.digest === right.stamp.slot.digest;
  const looked = (open: (image: DiskImage) => Filesystem['reader']): PathChange[] => {
    const one = open(before);
    try {
      const other = open(after);
      try {
        return compareTrees({ file: before.file, reader: one }, { file: after.file, reader: other });
      } finally {
        other.close();
      }
    } finally {
      one.close();
    }
  };
  return {
    facts: [...tableChanges(before, after), ...stampChanges(left, right)],
    esp: looked((image) => image.esp()),
    files: same ? [] : looked((image) => image.slot('a')),
  };
}

function tableChanges(before: DiskImage, after: DiskImage): string[] {
  const places = ({ size, table }: DiskImage) => {
    const partitions = table.partitions.map(({ name, start, size: bytes, guid }) => {
      return [`partition ${name}`, `${start}+${bytes} ${guid}`] as const;
    });
    return new Map<string, string>([['size', String(size)], ['disk', table.diskGuid], ...partitions]);
  };
  const [old, now] = [places(before), places(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((name) => old.get(name) !== now.get(name))
    .map((name) => `${name} ${old.get(name) ?? 'none'} → ${now.get(name) ?? 'none'}`);
}

function stampChanges(before: StampFound, after: StampFound): string[] {
  if (!before.valid || !after.valid) {
    const [was, is] = [before, after].map((found) => (found.valid ? 'valid' : found.why));
    return was === is ? [] : [`stamp: ${was} → ${is}`];
  }
  const [a, b] = [before.stamp, after.stamp];
  const told = (['site', 'device', 'hostname', 'place', 'flash'] as const)
    .filter((name) => a[name] !== b[name])
    .map((name) => `stamp: ${name} ${a[name]} → ${b[name]}`);
  const other = (['disk', 'roster'] as const)
    .filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
    .map((name) => `stamp: ${name}`);
  return [...told, ...other];
}

/** All that differs, in the order of the tree. Times are left out: they say nothing of a device. */
function compareTrees(before: Filesystem, after: Filesystem): PathChange[] {
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
