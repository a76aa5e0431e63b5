// The desk, with a machine on the switch that is played here: it shows two addresses and answers on port 80.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { encodeFrame, frameDecoder } from '../switch/framing.ts';
import { openSwitch } from '../switch/ports.ts';
import { openGateway } from './gateway.ts';

const flags = { syn: 2, reset: 4, ack: 16 } as const;
const bytesOf = (address: string): number[] => address.split('.').map(Number);
const own = (address: string): Buffer => Buffer.from([2, 0, ...bytesOf(address)]);

/** RFC 1071. */
function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A machine asks who has the address beside its own, as each does that looks whether its own is free. */
function shows(address: string): Buffer {
  const head = Buffer.from('ffffffffffff0000000000000806000108000604000100000000000000000000', 'hex');
  const frame = Buffer.concat([head, Buffer.alloc(28)]);
  own(address).copy(frame, 6);
  own(address).copy(frame, 22);
  frame.set(bytesOf(address), 28);
  frame.set([...bytesOf(address).slice(0, 3), 99], 38);
  return frame;
}

/** The answer to ARP or to the beginning of a connection, if the frame asks this address for one. */
function answer(frame: Buffer, address: string): Buffer | undefined {
  const mine = Buffer.from(bytesOf(address));
  if (frame.readUInt16BE(12) === 0x0806 && frame.subarray(38, 42).equals(mine)) {
    const reply = shows(address);
    frame.copy(reply, 0, 6, 12);
    reply[21] = 2;
    frame.copy(reply, 32, 22, 32);
    return reply;
  }
  const isTcp = frame.readUInt16BE(12) === 0x0800 && frame[23] === 6;
  if (!isTcp || !frame.subarray(30, 34).equals(mine) || frame[47] !== flags.syn) return undefined;
  const segment = Buffer.alloc(20);
  frame.copy(segment, 0, 36, 38);
  frame.copy(segment, 2, 34, 36);
  segment.writeUInt32BE(frame.readUInt32BE(38) + 1, 8);
  segment.set([5 << 4, flags.syn | flags.ack, 0x20, 0], 12);
  const pseudo = Buffer.concat([mine, frame.subarray(26, 30), Buffer.from([0, 6, 0, 20]), segment]);
  segment.writeUInt16BE(sumOf(pseudo), 16);
  const ip = Buffer.from([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, ...mine, ...frame.subarray(26, 30)]);
  ip.writeUInt16BE(sumOf(ip), 10);
  return Buffer.concat([
    frame.subarray(6, 12),
    own(address),
    Buffer.from([8, 0]),
    ip,
    segment,
    Buffer.alloc(6),
  ]);
}

test('a machine is reached in each network where it shows an address, and no network ends what another began', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekiln-desk-'));
  const lan = openSwitch(folder);
  const gateway = await openGateway(lan, folder, { router: 'dhcp' });
  const cable = net.connect(await lan.addPort('n1'));
  /** What came to the machine; what it does not acknowledge comes again. */
  const heard = new Set<string>();
  const clients: net.Socket[] = [];
  try {
    const decode = frameDecoder();
    const addresses = ['10.77.0.100', '198.18.7.1'];
    cable.on('data', (bytes: Buffer) => {
      for (const frame of decode(bytes)) {
        for (const address of addresses) {
          const reply = answer(frame, address);
          if (reply !== undefined) cable.write(encodeFrame(reply));
        }
        if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) continue;
        const data = frame.toString('latin1', 34 + ((frame[46] ?? 0) >> 4) * 4, 14 + frame.readUInt16BE(16));
        if (((frame[47] ?? 0) & flags.reset) !== 0) heard.add('a reset');
        else if (data !== '') heard.add(data);
      }
    });
    await once(cable, 'connect');
    for (const address of addresses) {
      const before = gateway.forwards('n1').status;
      cable.write(encodeFrame(shows(address)));
      const port = await vi.waitFor(() => {
        const { status } = gateway.forwards('n1');
        if (status === undefined || status === before) throw new Error('no forward yet');
        return status;
      }, 20_000);
      const client = net.connect(port, '127.0.0.1');
      clients.push(client.on('error', () => {}));
      client.write(`to ${address}`);
      await vi.waitFor(() => expect([...heard]).toContain(`to ${address}`), 20_000);
      expect([...heard]).not.toContain('a reset');
    }
  } finally {
    for (const client of clients) client.destroy();
    cable.destroy();
    await gateway.stop();
    await lan.close();
    await rm(folder, { recursive: true });
  }
});
