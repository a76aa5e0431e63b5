// What is at a byte of an image, in words: partition, file, table.
import { stampOffset, stampSize } from '../../formats/stamp.ts';
import type { Entry, EntrySource } from '../tree/entry.ts';
import type { DiskImage } from './open.ts';

/** Such as `slot-a, /etc/hostname at byte 12` or `the stamp`. */
export function placeOf(image: DiskImage, offset: number): string {
  if (offset >= stampOffset && offset < stampOffset + stampSize) return 'the stamp';
  const partition = image.table.partitions.find(
    ({ start, size }) => offset >= start && offset < start + size,
  );
  if (partition === undefined) return 'outside of the partitions, where the partition table is';
  const { name, start } = partition;
  return `${name}, ${fileAt(image, name, offset) ?? `byte ${offset - start}: part of the filesystem itself`}`;
}

function fileAt(image: DiskImage, name: string, offset: number): string | undefined {
  if (name !== 'esp' && name !== 'slot-a' && name !== 'slot-b') return undefined;
  try {
    const reader = name === 'esp' ? image.esp() : image.slot(name === 'slot-a' ? 'a' : 'b');
    try {
      return find(reader, offset);
    } finally {
      reader.close();
    }
  } catch {
    return undefined; // a filesystem that cannot be read has no files to name
  }
}

function find(source: EntrySource, offset: number): string | undefined {
  for (const entry of source.entries()) {
    const at = offsetIn(entry, offset);
    if (at !== undefined) return `/${entry.path} at byte ${at}`;
  }
  return undefined;
}

function offsetIn(entry: Entry, offset: number): number | undefined {
  if (entry.kind !== 'file') return undefined;
  for (const segment of entry.segments) {
    if (segment.bytes.at !== 'file') continue;
    const within = offset - segment.bytes.offset;
    if (within >= 0 && within < segment.bytes.length) return segment.offset + within;
  }
  return undefined;
}
