import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { leaseOf, senderOf } from './ethernet.ts';
import { encodeFrame, frameDecoder } from './framing.ts';
import { openSwitch, type Switch } from './ports.ts';

let directory: string;
let lan: Switch;
const sockets: net.Socket[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'switch-'));
  lan = openSwitch(directory);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await lan.close();
  rmSync(directory, { recursive: true });
});

async function plugIn(port: string): Promise<net.Socket> {
  const socket = net.connect(await lan.addPort(port));
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

async function nextFrame(socket: net.Socket): Promise<Buffer> {
  const decode = frameDecoder();
  for await (const [bytes] of on(socket)) {
    const [frame] = decode(bytes);
    if (frame !== undefined) return frame;
  }
  throw new Error('closed');
}

async function* on(socket: net.Socket): AsyncGenerator<[Buffer]> {
  while (true) yield (await once(socket, 'data')) as [Buffer];
}

/** Who has 198.18.5.2? Tell 198.18.5.1. */
const arp = Buffer.from(
  'ffffffffffff52540000000a0806000108000604000152540000000ac6120501000000000000c6120502',
  'hex',
);

it('carries a broadcast between two sockets, late by the delay, and tells the address it saw', async () => {
  const seen: string[] = [];
  lan.onAddress((port, address) => seen.push(`${port} ${address}`));
  const one = await plugIn('one');
  const two = await plugIn('two');
  lan.setFault('one', 'two', { delay: 200 });
  const arrives = nextFrame(two);
  const sent = performance.now();
  one.write(encodeFrame(arp));
  one.write(encodeFrame(arp));
  expect(await arrives).toEqual(arp);
  expect(performance.now() - sent).toBeGreaterThanOrEqual(195);
  expect(seen).toEqual(['one 198.18.5.1']);
  expect(lan.addresses().get('one')).toEqual(['198.18.5.1']);
});

it('unplugs a port that sends what cannot be a frame', async () => {
  const one = await plugIn('one');
  one.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  await once(one, 'close');
});

it('finds the sender of a neighbour solicitation, and none in an ARP probe', () => {
  const packet = Buffer.alloc(40);
  packet[0] = 0x60;
  packet[6] = 58;
  Buffer.from('fe80000000000000505400fffe00000a', 'hex').copy(packet, 8);
  const frame = Buffer.concat([Buffer.from('3333ff00000152540000000a86dd', 'hex'), packet]);
  expect(senderOf(frame)).toBe('fe80::5054:ff:fe00:a');
  const probe = Buffer.from(arp);
  probe.fill(0, 28, 32);
  expect(senderOf(probe)).toBeUndefined();
});

it('cuts any stream into the frames that were put in, however it is split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 100 })),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (frames, steps) => {
        const stream = Buffer.concat(frames.map((frame) => encodeFrame(Buffer.from(frame))));
        const decode = frameDecoder();
        const got: Buffer[] = [];
        for (let at = 0, n = 0; at < stream.length; n++) {
          const step = steps[n % steps.length] ?? 1;
          got.push(...decode(stream.subarray(at, at + step)));
          at += step;
        }
        expect(got).toEqual(frames.map((frame) => Buffer.from(frame)));
      },
    ),
  );
});

it('finds a lease in the acknowledgement of a DHCP server, not in its offer', () => {
  const answer = (type: number) => {
    const packet = Buffer.alloc(20 + 8 + 240);
    packet[0] = 0x45;
    packet[9] = 17;
    packet.writeUInt16BE(67, 20);
    packet[28] = 2;
    Buffer.from('0a4d0064', 'hex').copy(packet, 28 + 16);
    Buffer.from('52540000000a', 'hex').copy(packet, 28 + 28);
    const header = Buffer.from('52540000000a52550a4d00010800', 'hex');
    return Buffer.concat([header, packet, Buffer.from([0, 54, 4, 10, 77, 0, 1, 53, 1, type, 255])]);
  };
  expect(leaseOf(answer(5))).toEqual({ address: '10.77.0.100', hardware: '52:54:00:00:00:0a' });
  expect(leaseOf(answer(2))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      leaseOf(Buffer.concat([answer(5).subarray(0, 14 + 28 + 240), Buffer.from(noise)]));
      senderOf(Buffer.from(noise));
    }),
  );
});
