// How QEMU sends frames over a stream socket: a length of 4 bytes, big-endian, then the frame (QEMU net/stream.c, net/net.c).

/** Longer than any frame a guest sends, jumbo or with unfinished offloads; QEMU's own limit is 4096 + 65536. */
const longest = 69_632;

export function encodeFrame(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

/**
 * Cuts a stream into frames. The function it gives takes the next bytes and returns the frames they finish; it throws
 * a `RangeError` when a length cannot be one, because nothing after it can be understood.
 */
export function frameDecoder(): (bytes: Buffer) => readonly Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const frames: Buffer[] = [];
    while (rest.length >= 4) {
      const length = rest.readUInt32BE(0);
      if (length > longest) throw new RangeError(`a frame of ${length} bytes cannot be`);
      if (rest.length < 4 + length) break;
      // Copied: a delayed frame must not keep a whole read of the socket alive.
      frames.push(Buffer.from(rest.subarray(4, 4 + length)));
      rest = rest.subarray(4 + length);
    }
    return frames;
  };
}
