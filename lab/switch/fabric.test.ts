import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everyPort, type Fabric, forward, heal, newFabric, portDown, portUp, setFault } from './fabric.ts';
import { seeded } from './random.ts';

const broadcast = 'ff:ff:ff:ff:ff:ff';
const a = '52:54:00:00:00:0a';
const b = '52:54:00:00:00:0b';

function frame(to: string, from: string, type = 0x0800, rest = Buffer.alloc(46)): Buffer {
  const bytes = (address: string) => Buffer.from(address.replaceAll(':', ''), 'hex');
  return Buffer.concat([bytes(to), bytes(from), Buffer.from([type >> 8, type & 0xff]), rest]);
}

function threePorts(): Fabric {
  const fabric = newFabric();
  for (const port of ['p1', 'p2', 'p3']) portUp(fabric, port, 0);
  return fabric;
}

function portsReached(fabric: Fabric, port: string, bytes: Buffer, now = 1): string[] {
  return forward(fabric, port, bytes, now, seeded(1)).map((delivery) => delivery.port);
}

describe('forwarding', () => {
  it('floods broadcast, multicast and the unknown, never back to where it came from', () => {
    const fabric = threePorts();
    expect(portsReached(fabric, 'p1', frame(broadcast, a))).toEqual(['p2', 'p3']);
    expect(portsReached(fabric, 'p1', frame('33:33:00:00:00:01', a))).toEqual(['p2', 'p3']);
    expect(portsReached(fabric, 'p1', frame(b, a))).toEqual(['p2', 'p3']);
  });

  it('sends to the learned port only, until five minutes of silence or a pulled cable', () => {
    const fabric = threePorts();
    portsReached(fabric, 'p2', frame(broadcast, b), 0);
    expect(portsReached(fabric, 'p1', frame(b, a), 299_999)).toEqual(['p2']);
    expect(portsReached(fabric, 'p1', frame(b, a), 300_000)).toEqual(['p2', 'p3']);
    portsReached(fabric, 'p2', frame(broadcast, b), 300_001);
    portDown(fabric, 'p2');
    expect(portsReached(fabric, 'p1', frame(b, a), 300_002)).toEqual(['p3']);
  });

  it('drops what no switch forwards', () => {
    const fabric = threePorts();
    expect(portsReached(fabric, 'p1', Buffer.alloc(13))).toEqual([]);
    expect(portsReached(fabric, 'p1', frame(b, broadcast))).toEqual([]);
    expect(portsReached(fabric, 'p1', frame('01:80:c2:00:00:00', a))).toEqual([]);
    expect(portsReached(fabric, 'unplugged', frame(broadcast, a))).toEqual([]);
  });

  it('is silent in both directions while a spanning tree listens and learns', () => {
    const fabric = threePorts();
    portUp(fabric, 'p1', 0, { silence: 30_000 });
    expect(portsReached(fabric, 'p1', frame(broadcast, a), 29_999)).toEqual([]);
    expect(portsReached(fabric, 'p2', frame(broadcast, b), 29_999)).toEqual(['p3']);
    expect(portsReached(fabric, 'p1', frame(broadcast, a), 30_000)).toEqual(['p2', 'p3']);
  });

  it('does not hear a DHCP server behind a port that must not have one, but its clients', () => {
    const udp = (source: number) => {
      const packet = Buffer.alloc(300);
      packet[0] = 0x45;
      packet[9] = 17;
      packet.writeUInt16BE(source, 20);
      return packet;
    };
    const fabric = threePorts();
    portUp(fabric, 'p1', 0, { noDhcpServer: true });
    expect(portsReached(fabric, 'p1', frame(broadcast, a, 0x0800, udp(67)))).toEqual([]);
    expect(portsReached(fabric, 'p1', frame(broadcast, a, 0x0800, udp(68)))).toEqual(['p2', 'p3']);
    expect(portsReached(fabric, 'p2', frame(broadcast, b, 0x0800, udp(67)))).toEqual(['p1', 'p3']);
  });
});

describe('faults', () => {
  it('cuts one pair, one direction only, and heals', () => {
    const fabric = threePorts();
    setFault(fabric, 'p1', 'p2', { cut: true });
    expect(portsReached(fabric, 'p1', frame(broadcast, a))).toEqual(['p3']);
    expect(portsReached(fabric, 'p2', frame(broadcast, b))).toEqual(['p1', 'p3']);
    setFault(fabric, 'p1', 'p2', {});
    expect(portsReached(fabric, 'p1', frame(broadcast, a))).toEqual(['p2', 'p3']);
  });

  it('cuts a whole port', () => {
    const fabric = threePorts();
    setFault(fabric, everyPort, 'p3', { cut: true });
    setFault(fabric, 'p3', everyPort, { cut: true });
    expect(portsReached(fabric, 'p1', frame(broadcast, a))).toEqual(['p2']);
    expect(portsReached(fabric, 'p3', frame(broadcast, b))).toEqual([]);
  });

  it('heals a pair, a port, or all', () => {
    const fabric = threePorts();
    const cutAll = () => {
      for (const port of ['p1', 'p2', 'p3'])
        setFault(fabric, port, port === 'p3' ? 'p1' : 'p3', { cut: true });
    };
    cutAll();
    heal(fabric, 'p1', 'p3');
    expect([...fabric.faults.keys()]).toEqual(['p2>p3']);
    cutAll();
    heal(fabric, 'p2');
    expect([...fabric.faults.keys()]).toEqual(['p1>p3', 'p3>p1']);
    heal(fabric);
    expect(fabric.faults.size).toBe(0);
  });

  it('adds the delays of the ways a frame takes, and spreads them by the jitter', () => {
    const fabric = threePorts();
    setFault(fabric, 'p1', everyPort, { delay: 100 });
    setFault(fabric, everyPort, 'p2', { delay: 20, jitter: 50 });
    const times = forward(fabric, 'p1', frame(broadcast, a), 1000, () => 0.5).map((each) => each.at);
    expect(times).toEqual([1145, 1100]);
  });

  it('loses and doubles about as many as asked for, and the same ones for the same seed', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0, max: 1, noNaN: true }), (seed, chance) => {
        const arrivals = (fault: object) => {
          const fabric = threePorts();
          setFault(fabric, 'p1', 'p2', fault);
          const random = seeded(seed);
          const counts: number[] = [];
          for (let n = 0; n < 1000; n++) {
            const reached = forward(fabric, 'p1', frame(broadcast, a), n, random);
            counts.push(reached.filter((each) => each.port === 'p2').length);
            if (reached.at(-1)?.port !== 'p3') throw new Error('a frame to the port without a fault is gone');
          }
          return counts;
        };
        const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
        const lost = arrivals({ lose: chance });
        expect(arrivals({ lose: chance })).toEqual(lost);
        expect(Math.abs(sum(lost) - 1000 * (1 - chance))).toBeLessThan(100);
        expect(Math.abs(sum(arrivals({ duplicate: chance })) - 1000 * (1 + chance))).toBeLessThan(100);
      }),
      { numRuns: 30 },
    );
  });
});
