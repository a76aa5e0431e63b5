// How a record lies on disk: one file of two copies, written in turns. A torn write spoils one copy, never both.
//
//   copy 0 at byte 0, copy 1 at byte 128 KiB: magic "EKRECORD" · serial u48 · length u32 · SHA-256 over serial,
//   length and content (32 bytes) · content: JSON of the record
//
// The newer copy that is whole counts. The caller writes one copy at its offset and syncs before it says `persisted`.
import { createHash } from 'node:crypto';
import type { Record } from './record.ts';

const magic = Buffer.from('EKRECORD');
const headLength = 50;
/** Bytes that one copy may take; seven electors and ten generations make about 20 kB, a table of 253 places 30 kB. */
const copySize = 128 * 1024;

/** What to write, and where in the file. */
export interface RecordWrite {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** The write that makes `record` the newest after `serial` writes. Fails where the record is too large for a copy. */
export function encodeRecord(record: Record, serial: number): RecordWrite {
  const content = Buffer.from(JSON.stringify(record));
  const numbers = Buffer.alloc(10);
  numbers.writeUIntBE(serial, 0, 6);
  numbers.writeUInt32BE(content.length, 6);
  const bytes = Buffer.concat([magic, numbers, digest(numbers, content), content]);
  if (bytes.length > copySize)
    throw new RangeError(`a record of ${bytes.length} bytes does not fit its copy`);
  return { offset: (serial % 2) * copySize, bytes };
}

/** The newest whole copy in a file's bytes, or undefined where there is none: a fresh device, or one that lost its memory. */
export function decodeRecord(file: Buffer): { readonly record: Record; readonly serial: number } | undefined {
  const copies = [readCopy(file, 0), readCopy(file, copySize)].filter((copy) => copy !== undefined);
  return copies.sort((a, b) => b.serial - a.serial)[0];
}

function readCopy(file: Buffer, offset: number): { record: Record; serial: number } | undefined {
  const head = file.subarray(offset, offset + headLength);
  if (head.length < headLength || !head.subarray(0, 8).equals(magic)) return undefined;
  const numbers = head.subarray(8, 18);
  const length = numbers.readUInt32BE(6);
  const content = file.subarray(offset + headLength, offset + headLength + length);
  if (content.length !== length || length > copySize) return undefined;
  if (!digest(numbers, content).equals(head.subarray(18, headLength))) return undefined;
  return { record: JSON.parse(content.toString()) as Record, serial: numbers.readUIntBE(0, 6) };
}

function digest(numbers: Uint8Array, content: Uint8Array): Buffer {
  return createHash('sha256').update(numbers).update(content).digest();
}
