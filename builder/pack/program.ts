// What the threads run. It is text, because it must start from the sources and from the one-file bundle alike; it is
// plain JavaScript for CommonJS, needs nothing but Node, and knows a few jobs.

export const program = `
'use strict';
const { parentPort } = require('node:worker_threads');
const { closeSync, fdatasync, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, utimesSync, writeFileSync, writeSync } = require('node:fs');
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

/* The medium takes what was written so far while more is: called now and then, it starts where none is under way. */
class Early {
  constructor(descriptor) {
    this.descriptor = descriptor;
    this.waiting = 0;
    this.running = undefined;
  }
  wrote(bytes) {
    this.waiting += bytes;
    if (this.waiting < 1 << 25 || this.running !== undefined) return;
    this.waiting = 0;
    this.running = new Promise((resolve, reject) => fdatasync(this.descriptor, (error) => (error ? reject(error) : resolve())));
    this.running.then(() => { this.running = undefined; }, () => {}); // a failure stays, for \`end\`
  }
  end() { return this.running; }
}
/* Lets callbacks come in. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/* A kept chunk: SHA-256 of all behind it, CRC-32 of the plain bytes, the deflated ones. One that was torn is made anew. */
function kept(path) {
  let bytes;
  try { bytes = readFileSync(path); } catch { return undefined; }
  return bytes.length > 36 && sha256(bytes.subarray(32)).equals(bytes.subarray(0, 32)) ? bytes : undefined;
}

const jobs = {
  deflate({ file, at, length, level, folder, name, temporary }) {
    const path = folder + '/' + name.slice(0, 2) + '/' + name;
    let bytes = kept(path);
    if (bytes !== undefined) {
      const now = new Date(); // what is used is not cleared away
      try { utimesSync(path, now, now); } catch { /* another's, or gone meanwhile */ }
    } else {
      const plain = Buffer.alloc(length);
      if (file !== undefined) {
        const descriptor = openSync(file, 'r');
        try { fill(descriptor, plain, at); } finally { closeSync(descriptor); }
      }
      if (sha256(plain).toString('hex') !== name) throw new Error('the file is not as it was');
      const deflated = deflateRawSync(plain, { level, finishFlush: constants.Z_SYNC_FLUSH, chunkSize: length + 65536 });
      bytes = Buffer.alloc(36 + deflated.length);
      deflated.copy(bytes, 36);
      bytes.writeUInt32LE(crc32(plain), 32);
      sha256(bytes.subarray(32)).copy(bytes, 0);
      mkdirSync(dirname(path), { recursive: true });
      const beside = path + '.' + temporary;
      try { writeFileSync(beside, bytes); renameSync(beside, path); } finally { rmSync(beside, { force: true }); }
    }
    return { crc: bytes.readUInt32LE(32), file: path, at: 36, size: bytes.length - 36 };
  },
  async survey({ file, size, ranges, chunk, part, copies, written }) {
    const reached = written === undefined ? undefined : new BigInt64Array(written);
    const waitFor = (end) => {
      for (let seen; reached !== undefined && (seen = Atomics.load(reached, 0)) < end; ) Atomics.wait(reached, 0, seen);
    };
    const descriptor = openSync(file, 'r');
    const targets = [];
    const early = [];
    const buffer = Buffer.alloc(chunk);
    const runs = [];
    const chunks = [];
    const inPart = createHash('sha256');
    try {
      for (const copy of copies) {
        const target = openSync(copy, 'wx', 0o644);
        targets.push(target);
        early.push(new Early(target));
        ftruncateSync(target, size);
      }
      for (let next = 0; next < ranges.length; ) {
        const index = Math.floor(ranges[next].start / chunk);
        const base = index * chunk;
        const piece = buffer.subarray(0, Math.min(chunk, size - base));
        const first = next;
        while (next < ranges.length && ranges[next].start < base + chunk) next++;
        const own = ranges.slice(first, next);
        const full = own[0].end - own[0].start === piece.length;
        if (!full) piece.fill(0);
        for (const { start, end } of own) {
          waitFor(BigInt(end));
          const bytes = piece.subarray(start - base, end - base);
          fill(descriptor, bytes, start);
          targets.forEach((target, which) => {
            spill(target, bytes, start);
            early[which].wrote(bytes.length);
          });
          if (start >= part.start && end <= part.end) inPart.update(bytes);
          if (!full) runs.push(sha256(bytes).toString('hex'));
        }
        const digest = sha256(piece).toString('hex');
        if (full) runs.push(digest);
        chunks.push([index, digest]);
        await turn();
      }
      for (const one of early) await one.end();
      return { runs, chunks, part: inPart.digest('hex') };
    } finally {
      for (const one of early) await one.end()?.catch(() => {});
      for (const target of targets) closeSync(target);
      closeSync(descriptor);
    }
  },
  async join({ to, parts }) {
    const target = openSync(to, 'wx', 0o644);
    const early = new Early(target);
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(1 << 20);
    let at = 0;
    const append = (bytes) => {
      hash.update(bytes);
      spill(target, bytes, at);
      at += bytes.length;
      early.wrote(bytes.length);
    };
    try {
      for (const part of parts) {
        if (part.bytes !== undefined) append(part.bytes);
        else {
          const source = openSync(part.file, 'r');
          try {
            for (let done = 0; done < part.size; ) {
              const piece = buffer.subarray(0, Math.min(buffer.length, part.size - done));
              fill(source, piece, part.at + done);
              append(piece);
              done += piece.length;
            }
          } finally { closeSync(source); }
        }
        await turn();
      }
      await early.end();
      return { sha256: hash.digest('hex'), size: at };
    } finally {
      await early.end()?.catch(() => {});
      closeSync(target);
    }
  },
  digest({ file, only }) {
    const descriptor = openSync(file, 'r');
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(1 << 20);
    const zeros = Buffer.alloc(1 << 20);
    let at = 0;
    const skip = (end) => {
      for (; at < end; at += Math.min(zeros.length, end - at)) hash.update(zeros.subarray(0, Math.min(zeros.length, end - at)));
    };
    try {
      if (only === undefined) {
        for (;;) {
          const read = readSync(descriptor, buffer, 0, buffer.length, null);
          if (read === 0) return hash.digest('hex');
          hash.update(buffer.subarray(0, read));
        }
      }
      for (const { start, end } of only.ranges) {
        skip(start);
        while (at < end) {
          const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
          fill(descriptor, piece, at);
          hash.update(piece);
          at += piece.length;
        }
      }
      skip(only.size);
      return hash.digest('hex');
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
    parentPort.postMessage({ value });
  } catch (error) {
    parentPort.postMessage({ failed: { message: error.message, code: error.code } });
  }
});
`;
