// A disk over the NBD protocol: newstyle handshake, simple replies, as the specification of the NBD project has them
// (doc/proto.md). All numbers are big-endian.
import { once } from 'node:events';
import net from 'node:net';
import type { WriteCache } from './write-cache.ts';

const option = { exportName: 1, abort: 2, info: 6, go: 7 } as const;
const reply = { ack: 1, info: 3, unsupported: 0x80000001 } as const;
const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const;
const invalid = 22; // EINVAL
const inputOutput = 5; // EIO

/** Has flags, takes flush, force-unit-access, trim and write-zeroes. */
const transmissionFlags = 0x01 | 0x04 | 0x08 | 0x20 | 0x40;

/** Forced unit access: on the medium before the reply. */
const fua = 1;

/** Longest request, bytes; the specification's default. */
const longest = 32 * 1024 ** 2;

type Take = (length: number) => Promise<Buffer>;

export interface NbdServer {
  /** Cuts off all clients: nothing they still sent is taken. */
  disconnect(): void;
  close(): Promise<void>;
}

/** Serves a disk of `size` bytes at a unix socket, under any export name. */
export async function serveNbd(path: string, size: number, cache: WriteCache): Promise<NbdServer> {
  const clients = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => clients.delete(socket));
    serve(socket, size, cache)
      .catch(() => {}) // the client went, or speaks something else
      .finally(() => socket.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  const disconnect = () => {
    for (const socket of clients) socket.destroy();
  };
  return {
    disconnect,
    async close() {
      disconnect();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(socket: net.Socket, size: number, cache: WriteCache): Promise<void> {
  const take = reader(socket);
  if (!(await negotiate(socket, take, size))) return;
  for (;;) {
    const header = await take(28);
    if (header.readUInt32BE(0) !== 0x25609513) return;
    const flags = header.readUInt16BE(4);
    const type = header.readUInt16BE(6);
    const cookie = header.subarray(8, 16);
    const offset = Number(header.readBigUInt64BE(16));
    const length = header.readUInt32BE(24);
    if (type === command.disconnect) return;
    if (type === command.write && length > longest) return;
    const payload = type === command.write ? await take(length) : undefined;
    const tooLong = type === command.read && length > longest;
    const outcome =
      tooLong || offset + length > size ? invalid : obey(cache, type, offset, payload ?? length, flags);
    const head = Buffer.alloc(16);
    head.writeUInt32BE(0x67446698, 0);
    head.writeUInt32BE(typeof outcome === 'number' ? outcome : 0, 4);
    cookie.copy(head, 8);
    socket.cork();
    socket.write(head);
    if (typeof outcome !== 'number') socket.write(outcome);
    socket.uncork();
    if (socket.writableNeedDrain) await once(socket, 'drain');
  }
}

/** Does one command: gives the bytes read, or an error number, 0 for none. */
function obey(
  cache: WriteCache,
  type: number,
  offset: number,
  payload: Buffer | number,
  flags: number,
): Buffer | number {
  const durable = (flags & fua) !== 0;
  try {
    switch (type) {
      case command.read:
        return typeof payload === 'number' ? cache.read(offset, payload) : invalid;
      case command.write:
      case command.trim:
      case command.writeZeroes:
        cache.write(offset, payload, durable);
        return 0;
      case command.flush:
        cache.flush();
        return 0;
      default:
        return invalid;
    }
  } catch {
    return inputOutput; // the host's own disk is full or broken
  }
}

/** The handshake. Gives whether the client goes on to use the disk. */
async function negotiate(socket: net.Socket, take: Take, size: number): Promise<boolean> {
  const hello = Buffer.from('NBDMAGICIHAVEOPT\0\0');
  hello.writeUInt16BE(0x3, 16); // fixed newstyle, no zeroes
  socket.write(hello);
  const noZeroes = ((await take(4)).readUInt32BE(0) & 2) !== 0;
  for (;;) {
    const header = await take(16);
    const asked = header.readUInt32BE(8);
    const length = header.readUInt32BE(12);
    if (header.subarray(0, 8).toString() !== 'IHAVEOPT' || length > 65_536) return false;
    if (length > 0) await take(length); // an export's name, and what the client likes to know: all get the same
    if (asked === option.exportName) {
      const facts = Buffer.alloc(noZeroes ? 10 : 134);
      facts.writeBigUInt64BE(BigInt(size), 0);
      facts.writeUInt16BE(transmissionFlags, 8);
      socket.write(facts);
      return true;
    }
    if (asked === option.info || asked === option.go) {
      const facts = Buffer.alloc(12);
      facts.writeBigUInt64BE(BigInt(size), 2);
      facts.writeUInt16BE(transmissionFlags, 10);
      sendReply(socket, asked, reply.info, facts);
      const blocks = Buffer.alloc(14);
      blocks.writeUInt16BE(3, 0);
      for (const [index, bytes] of [512, 4096, longest].entries()) blocks.writeUInt32BE(bytes, 2 + 4 * index);
      sendReply(socket, asked, reply.info, blocks);
      sendReply(socket, asked, reply.ack);
      if (asked === option.go) return true;
    } else {
      sendReply(socket, asked, asked === option.abort ? reply.ack : reply.unsupported);
      if (asked === option.abort) return false;
    }
  }
}

function sendReply(socket: net.Socket, asked: number, type: number, data = Buffer.alloc(0)): void {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(0x3e889045565a9n, 0);
  head.writeUInt32BE(asked, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  socket.write(Buffer.concat([head, data]));
}

/** Gives the next so many bytes of a stream each time it is called; throws when the stream ends before. */
function reader(socket: net.Socket): Take {
  let wake = () => {};
  for (const event of ['readable', 'end', 'close']) socket.on(event, () => wake());
  return async (length) => {
    if (length === 0) return Buffer.alloc(0);
    for (;;) {
      const bytes: unknown = socket.read(length);
      if (Buffer.isBuffer(bytes) && bytes.length === length) return bytes;
      if (bytes !== null || socket.readableEnded || socket.destroyed) throw new Error('the stream ended');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}
