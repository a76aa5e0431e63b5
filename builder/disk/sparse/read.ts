// Reads an Android sparse file as the volume that it was made of: what `planSparse` wrote, and others of the format.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Image } from '../image.ts';
import type { Range, Volume } from '../volume.ts';
import { chunkHeaderSize, chunkTypes, fileHeaderSize, magic } from './plan.ts';

const batch = 4 * 1024 * 1024;
const fill = 0xcac2;
const checksum = 0xcac4;

interface Piece extends Range {
  /** Where its bytes are in the sparse file; or the four bytes that fill it. */
  readonly from: number | Buffer;
}

/** The volume in a sparse file; undefined if the file is none. Refuses with Failure('unsupported' or 'io', …). */
export function readSparse(file: string): Volume | undefined {
  const image = new Image(file);
  try {
    if (image.size < fileHeaderSize) return undefined;
    const header = image.read(0, fileHeaderSize);
    if (header.readUInt32LE(0) !== magic) return undefined;
    const blockSize = header.readUInt32LE(12);
    const size = header.readUInt32LE(16) * blockSize;
    const pieces = readPieces(image, header, blockSize, size);
    return {
      size,
      mapped: pieces.map(({ start, end }) => ({ start, end })),
      async write(output) {
        const source = new Image(file);
        const buffer = Buffer.alloc(batch);
        try {
          for (const { start, end, from } of pieces) {
            if (typeof from !== 'number') buffer.fill(from);
            for (let at = start; at < end; at += batch) {
              const part = buffer.subarray(0, Math.min(batch, end - at));
              if (typeof from === 'number') source.readInto(part, from + at - start);
              output.write(at, part);
              await nextTurn();
            }
          }
        } finally {
          source.close();
        }
      },
    };
  } finally {
    image.close();
  }
}

function readPieces(image: Image, header: Buffer, blockSize: number, size: number): Piece[] {
  const refuse = (why: string): never => {
    throw image.refusal('not a sparse image that can be read', why);
  };
  const [major, fileHeader, chunkHeader] = [4, 8, 10].map((at) => header.readUInt16LE(at));
  if (major !== 1) refuse(`it is of version ${major}`);
  if (
    fileHeader !== fileHeaderSize ||
    chunkHeader !== chunkHeaderSize ||
    blockSize % 4 !== 0 ||
    blockSize === 0
  )
    refuse('its header makes no sense');
  const pieces: Piece[] = [];
  let at = fileHeaderSize;
  let start = 0;
  for (let left = header.readUInt32LE(20); left > 0; left--) {
    const chunk = image.read(at, chunkHeaderSize);
    const type = chunk.readUInt16LE(0);
    const end = start + chunk.readUInt32LE(4) * blockSize;
    const length = chunk.readUInt32LE(8) - chunkHeaderSize;
    const wanted = type === chunkTypes.raw ? end - start : type === fill || type === checksum ? 4 : 0;
    if (length !== wanted || end > size) refuse(`a chunk at byte ${at} makes no sense`);
    const body = at + chunkHeaderSize;
    if (type === chunkTypes.raw) pieces.push({ start, end, from: body });
    else if (type === fill) pieces.push({ start, end, from: image.read(body, 4) });
    else if (type !== chunkTypes.skipped && type !== checksum) refuse(`it has a chunk of type ${type}`);
    at = body + length;
    start = type === checksum ? start : end;
  }
  if (start !== size) refuse('its chunks end before the volume does');
  return pieces;
}
