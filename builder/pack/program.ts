// What the threads run. It is text, because it must start from the sources and from the one-file bundle alike; it is
// plain JavaScript for CommonJS, needs nothing but Node, and knows a few jobs.

export const program = `
'use strict';
const { parentPort } = require('node:worker_threads');
const { closeSync, fdatasync, fsync, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, utimesSync, writeFileSync, writeSync } = require('node:fs');
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


function spill(descriptor, bytes, at) {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done, bytes.length - done, at + done);
}

/* Lays bytes over a piece, of which they begin \`at\` bytes behind the start, or before it. */
function lay(bytes, at, piece) {
  const [start, end] = [Math.max(0, at), Math.min(piece.length, at + bytes.length)];
  if (start < end) piece.set(bytes.subarray(start - at, end - at), start);
}

function sync(how, descriptor) {
  const done = new Promise((resolve, reject) => how(descriptor, (error) => (error ? reject(error) : resolve())));
  done.catch(() => {}); // it is awaited later
  return done;
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
  async survey({ file, size, ranges, wanted, copy }) {
    const descriptor = openSync(file, 'r');
    const target = copy === undefined ? undefined : openSync(copy.to, 'wx', 0o644);
    const whole = createHash('sha256');
    const buffer = Buffer.alloc(1 << 20);
    const zeros = Buffer.alloc(1 << 20);
    let reached = 0;
    let early;
    const skip = (end) => {
      /* The medium takes what was copied while zeros are digested, which takes as long. */
      if (target !== undefined && end - reached > 1 << 26) early ??= sync(fdatasync, target);
      while (reached < end) {
        const length = Math.min(zeros.length, end - reached);
        whole.update(zeros.subarray(0, length));
        reached += length;
      }
    };
    try {
      if (target !== undefined) ftruncateSync(target, size);
      const runs = ranges.map(({ start, end }, index) => {
        const own = wanted[index] ? createHash('sha256') : undefined;
        skip(start);
        while (reached < end) {
          const piece = buffer.subarray(0, Math.min(buffer.length, end - reached));
          fill(descriptor, piece, reached);
          if (target !== undefined) {
            lay(copy.but.bytes, copy.but.at - reached, piece);
            spill(target, piece, reached);
          }
          whole.update(piece);
          if (own !== undefined) own.update(piece);
          reached += piece.length;
        }
        return own?.digest('hex');
      });
      skip(size);
      await early;
      if (target !== undefined) await sync(fsync, target);
      return { sha256: whole.digest('hex'), runs };
    } finally {
      await early?.catch(() => {});
      if (target !== undefined) closeSync(target);
      closeSync(descriptor);
    }
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

parentPort.on('message', async ({ kind, job }) => {
  try {
    const value = await jobs[kind](job);
    parentPort.postMessage({ value }, kind === 'deflate' ? [value.bytes.buffer] : []);
  } catch (error) {
    parentPort.postMessage({ failed: { message: error.message, code: error.code } });
  }
});
`;
