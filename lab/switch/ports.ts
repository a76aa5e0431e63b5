// The switch at work: one unix socket a port, frames through the fabric, a timer for those that are late.
import { rmSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { leaseOf, senderOf } from './ethernet.ts';
import {
  type Delivery,
  type Fabric,
  forward,
  heal,
  newFabric,
  portDown,
  portUp,
  setFault,
} from './fabric.ts';
import type { Fault } from './fault.ts';
import { encodeFrame, frameDecoder } from './framing.ts';
import { seeded } from './random.ts';

/** A guest that does not read is not waited for: frames beyond this many bytes are dropped, as a full port does. */
const portBuffer = 4 * 1024 * 1024;

export interface PortOptions {
  /** Silence of a spanning tree each time the port comes up, ms. */
  readonly silence?: number;
  readonly noDhcpServer?: boolean;
}

export interface Switch {
  /** Adds a port and gives the socket that QEMU connects to (`-netdev stream,server=off`). It may come and go. */
  addPort(name: string, options?: PortOptions): Promise<string>;
  setFault(from: string, to: string, fault: Fault): void;
  /** Takes away the faults between two ports, those of one port, or all. */
  heal(one?: string, other?: string): void;
  /** Names of all ports, with the addresses their machines have shown: by ARP, ICMPv6 or a lease they were given. */
  addresses(): ReadonlyMap<string, readonly string[]>;
  /** Calls back once for every address a port shows for the first time. */
  onAddress(listener: (port: string, address: string) => void): void;
  close(): Promise<void>;
}

/** Opens a switch whose sockets lie in `directory` (short: a socket's path has at most 107 bytes). */
export function openSwitch(directory: string, options: { seed?: number } = {}): Switch {
  const fabric: Fabric = newFabric();
  const random = seeded(options.seed ?? 1);
  const servers: net.Server[] = [];
  const plugged = new Map<string, net.Socket>();
  const shown = new Map<string, Set<string>>();
  const listeners: ((port: string, address: string) => void)[] = [];
  const late = new Set<NodeJS.Timeout>();

  const deliver = (delivery: Delivery): void => {
    const socket = plugged.get(delivery.port);
    if (socket === undefined || socket.writableLength > portBuffer) return;
    socket.write(encodeFrame(delivery.frame));
  };

  const receive = (port: string, frame: Buffer): void => {
    const now = performance.now();
    for (const delivery of forward(fabric, port, frame, now, random)) {
      if (delivery.at <= now) {
        deliver(delivery);
      } else {
        const timer = setTimeout(() => {
          late.delete(timer);
          deliver(delivery);
        }, delivery.at - now);
        late.add(timer);
      }
    }
    show(port, senderOf(frame));
    const lease = leaseOf(frame);
    if (lease !== undefined) show(fabric.learned.get(lease.hardware)?.port, lease.address);
  };

  const show = (port: string | undefined, address: string | undefined): void => {
    if (port === undefined || address === undefined) return;
    const known = shown.get(port);
    if (known === undefined || known.has(address)) return;
    known.add(address);
    for (const listener of listeners) listener(port, address);
  };

  const plug = (port: string, socket: net.Socket, portOptions: PortOptions): void => {
    plugged.get(port)?.destroy();
    plugged.set(port, socket);
    portUp(fabric, port, performance.now(), portOptions);
    const decode = frameDecoder();
    socket.on('data', (bytes: Buffer) => {
      try {
        for (const frame of decode(bytes)) receive(port, frame);
      } catch {
        socket.destroy(); // not QEMU, or out of step: the port goes down rather than forward noise
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (plugged.get(port) !== socket) return;
      plugged.delete(port);
      portDown(fabric, port);
    });
  };

  return {
    async addPort(name, portOptions = {}) {
      const path = join(directory, `${servers.length}.lan`);
      rmSync(path, { force: true });
      shown.set(name, new Set());
      const server = net.createServer((socket) => plug(name, socket, portOptions));
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
      return path;
    },
    setFault: (from, to, fault) => setFault(fabric, from, to, fault),
    heal: (one, other) => heal(fabric, one, other),
    addresses: () => new Map([...shown].map(([port, known]) => [port, [...known]])),
    onAddress: (listener) => void listeners.push(listener),
    async close() {
      for (const timer of late) clearTimeout(timer);
      for (const socket of plugged.values()) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
