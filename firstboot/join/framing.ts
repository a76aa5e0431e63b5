// A frame: one byte of version, three bytes of length (big endian), then so many bytes of JSON in UTF-8.
import type { Readable } from 'node:stream';
import { parseJson } from '../../formats/json.ts';

const version = 1;
const headerSize = 4;

/** The largest frame each end takes, in bytes: a roster of 253 places fits into an answer three times. */
export const largestRequest = 4096;
export const largestAnswer = 256 * 1024;

/** A value as a frame. */
export function frame(value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value), 'utf8');
  if (body.length > largestAnswer) throw new RangeError(`a frame of ${body.length} bytes is too large`);
  const header = Buffer.alloc(headerSize);
  header.writeUInt32BE((version << 24) | body.length);
  return Buffer.concat([header, body]);
}

/** Reads one frame; fails on another version, on more than `largest` bytes, and on an end before its time. */
export async function readFrame(stream: Readable, largest: number): Promise<unknown> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length < headerSize) continue;
    if (bytes[0] !== version) throw new Error(`it speaks version ${bytes[0]}, not ${version}`);
    const length = bytes.readUIntBE(1, 3);
    if (length > largest) throw new Error(`its message of ${length} bytes is too large`);
    if (bytes.length < headerSize + length) continue;
    return parseJson(bytes.toString('utf8', headerSize, headerSize + length));
  }
  throw new Error('it hung up');
}
