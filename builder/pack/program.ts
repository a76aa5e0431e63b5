// What the threads run. It is text, because it must start from the sources and from the one-file bundle alike; it is
// plain JavaScript for CommonJS, needs nothing but Node, and knows a few jobs.

export const program = `
'use strict';
const { parentPort } = require('node:worker_threads');
const { closeSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, utimesSync, writeFileSync } = require('node:fs');
const { createHash } = require('node:crypto');
const { dirname } = require('node:path');
const { constants, deflateRawSync } = require('node:zlib');

const table = new Int32Array(256).map((_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});
function crc32(bytes) {
  let value = -1;
  for (let i = 0; i < bytes.length; i++) value = table[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

function fill(descriptor, buffer, at) {
  for (let done = 0; done < buffer.length; ) {
    const read = readSync(descriptor, buffer, done, buffer.length - done, at + done);
    if (read === 0) throw new Error('the file is shorter than it was');
    done += read;
  }
}

/* A kept chunk: SHA-256 of all behind it, CRC-32 of the plain bytes, the deflated ones. One that was torn is made anew. */
function kept(path) {
  let bytes;
  try { bytes = readFileSync(path); } catch { return undefined; }
  return bytes.length > 36 && sha256(bytes.subarray(32)).equals(bytes.subarray(0, 32)) ? bytes : undefined;
}

const jobs = {
  deflate({ file, at, length, level, folder, temporary }) {
    const plain = Buffer.alloc(length);
    if (file !== undefined) {
      const descriptor = openSync(file, 'r');
      try { fill(descriptor, plain, at); } finally { closeSync(descriptor); }
    }
    const name = sha256(plain).toString('hex');
    const path = folder + '/' + name.slice(0, 2) + '/' + name;
    let bytes = kept(path);
    if (bytes !== undefined) {
      const now = new Date(); // what is used is not cleared away
      try { utimesSync(path, now, now); } catch { /* another's, or gone meanwhile */ }
    } else {
      const deflated = deflateRawSync(plain, { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: length + 65536 });
      bytes = Buffer.alloc(36 + deflated.length);
      deflated.copy(bytes, 36);
      bytes.writeUInt32LE(crc32(plain), 32);
      sha256(bytes.subarray(32)).copy(bytes, 0);
      mkdirSync(dirname(path), { recursive: true });
      const beside = path + '.' + temporary;
      try { writeFileSync(beside, bytes); renameSync(beside, path); } finally { rmSync(beside, { force: true }); }
    }
    return { crc: bytes.readUInt32LE(32), bytes: new Uint8Array(bytes.subarray(36)) }; // a copy of its own, to be given away
  },
  survey({ file, size, ranges, wanted }) {
    const descriptor = openSync(file, 'r');
    const whole = createHash('sha256');
    const buffer = Buffer.alloc(1 << 20);
    const zeros = Buffer.alloc(1 << 20);
    let reached = 0;
    const skip = (end) => {
      while (reached < end) {
        const length = Math.min(zeros.length, end - reached);
        whole.update(zeros.subarray(0, length));
        reached += length;
      }
    };
    try {
      const runs = ranges.map(({ start, end }, index) => {
        const own = wanted[index] ? createHash('sha256') : undefined;
        skip(start);
        while (reached < end) {
          const piece = buffer.subarray(0, Math.min(buffer.length, end - reached));
          fill(descriptor, piece, reached);
          whole.update(piece);
          if (own !== undefined) own.update(piece);
          reached += piece.length;
        }
        return own?.digest('hex');
      });
      skip(size);
      return { sha256: whole.digest('hex'), runs };
    } finally { closeSync(descriptor); }
  },
  digest({ file }) {
    const descriptor = openSync(file, 'r');
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(1 << 20);
    try {
      for (;;) {
        const read = readSync(descriptor, buffer, 0, buffer.length, null);
        if (read === 0) return hash.digest('hex');
        hash.update(buffer.subarray(0, read));
      }
    } finally { closeSync(descriptor); }
  },
  runs({ file, ranges }) {
    const descriptor = openSync(file, 'r');
    const buffer = Buffer.alloc(1 << 20);
    try {
      return ranges.map(({ start, end }) => {
        const hash = createHash('sha256');
        for (let at = start; at < end; at += buffer.length) {
          const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
          fill(descriptor, piece, at);
          hash.update(piece);
        }
        return hash.digest('hex');
      });
    } finally { closeSync(descriptor); }
  },
};

parentPort.on('message', ({ kind, job }) => {
  try {
    const value = jobs[kind](job);
    parentPort.postMessage({ value }, kind === 'deflate' ? [value.bytes.buffer] : []);
  } catch (error) {
    parentPort.postMessage({ failed: { message: error.message, code: error.code } });
  }
});
`;
