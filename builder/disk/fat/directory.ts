// Directories of a FAT filesystem as bytes.
import { checksum, dotted, entrySize, longNameEntries, longNamePart, shortNames } from './names.ts';

/** A file or directory on its way into the filesystem. */
export interface FatNode {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  /** Seconds since 1970. */
  mtime: number;
  /** Bytes; a directory's without the room that its last cluster leaves. */
  size: number;
  /** The first of its clusters, which follow one another; 0 for none. */
  cluster: number;
  readonly children: FatNode[];
  readonly parent: FatNode | undefined;
}

const attributes = { label: 0x08, directory: 0x10, archive: 0x20 } as const;

/** The entries of a directory; the root has the volume's label, the others themselves and their parent. */
export function directoryBytes(node: FatNode, type: 16 | 32, label: string): Buffer {
  const parts: Buffer[] = [];
  if (node.parent === undefined) {
    parts.push(
      shortEntry(label.padEnd(11), attributes.label, { mtime: node.mtime, cluster: 0, size: 0 }, type),
    );
  } else {
    const { parent } = node;
    // The root is cluster 0 to its children, wherever it is.
    const above = parent.parent === undefined ? 0 : parent.cluster;
    parts.push(
      shortEntry(
        '.'.padEnd(11),
        attributes.directory,
        { mtime: node.mtime, cluster: node.cluster, size: 0 },
        type,
      ),
    );
    parts.push(
      shortEntry(
        '..'.padEnd(11),
        attributes.directory,
        { mtime: parent.mtime, cluster: above, size: 0 },
        type,
      ),
    );
  }
  const shorts = shortNames(node.children.map((child) => child.name));
  for (const [index, child] of node.children.entries()) {
    const short = shorts[index] ?? '';
    const directory = child.kind === 'directory';
    parts.push(longNameEntries(child.name, short));
    parts.push(
      shortEntry(
        short,
        directory ? attributes.directory : attributes.archive,
        { mtime: child.mtime, cluster: child.cluster, size: directory ? 0 : child.size },
        type,
      ),
    );
  }
  return Buffer.concat(parts);
}

function shortEntry(
  name: string,
  attribute: number,
  { mtime, cluster, size }: { readonly mtime: number; readonly cluster: number; readonly size: number },
  type: 16 | 32,
): Buffer {
  const entry = Buffer.alloc(entrySize);
  entry.write(name, 0, 11, 'latin1');
  entry.writeUInt8(attribute, 11);
  const { date, time } = fatTime(mtime);
  entry.writeUInt16LE(time, 14); // made
  entry.writeUInt16LE(date, 16);
  entry.writeUInt16LE(date, 18); // read
  if (type === 32) entry.writeUInt16LE(cluster >>> 16, 20);
  entry.writeUInt16LE(time, 22); // written
  entry.writeUInt16LE(date, 24);
  entry.writeUInt16LE(cluster & 0xffff, 26);
  entry.writeUInt32LE(size, 28);
  return entry;
}

/** Date and time as FAT packs them; years before 1980 and after 2107 become the nearest there is. */
function fatTime(mtime: number): { date: number; time: number } {
  const first = Date.UTC(1980, 0, 1) / 1000;
  const last = Date.UTC(2107, 11, 31, 23, 59, 58) / 1000;
  const moment = new Date(Math.min(last, Math.max(first, mtime)) * 1000);
  return {
    date: ((moment.getUTCFullYear() - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate(),
    time: (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1),
  };
}

/** What a directory says of one file or directory. */
export interface FatName {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  readonly cluster: number;
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
}

/** The names in the bytes of a directory, without `.`, `..` and the label. */
export function* readDirectory(bytes: Buffer, type: 16 | 32): Generator<FatName> {
  let long = '';
  let sum = -1;
  for (let at = 0; at + entrySize <= bytes.length; at += entrySize) {
    const entry = bytes.subarray(at, at + entrySize);
    const first = entry.readUInt8(0);
    if (first === 0) return;
    const attribute = entry.readUInt8(11);
    if (first !== 0xe5 && (attribute & 0x3f) === 0x0f) {
      // The last part comes first and begins anew.
      long = longNamePart(entry) + ((first & 0x40) === 0 ? long : '');
      sum = entry.readUInt8(13);
      continue;
    }
    const short = entry.toString('latin1', 0, 11);
    const name = long !== '' && sum === checksum(short) ? long : dotted(short);
    long = '';
    if (first === 0xe5 || (attribute & attributes.label) !== 0 || first === 0x2e) continue;
    yield {
      name,
      kind: (attribute & attributes.directory) === 0 ? 'file' : 'directory',
      cluster: entry.readUInt16LE(26) + (type === 32 ? entry.readUInt16LE(20) * 0x1_0000 : 0),
      size: entry.readUInt32LE(28),
      mtime: unixTime(entry.readUInt16LE(24), entry.readUInt16LE(22)),
    };
  }
}

function unixTime(date: number, time: number): number {
  const day = Date.UTC(1980 + (date >> 9), ((date >> 5) & 15) - 1, date & 31);
  return day / 1000 + (time >> 11) * 3600 + ((time >> 5) & 63) * 60 + (time & 31) * 2;
}
