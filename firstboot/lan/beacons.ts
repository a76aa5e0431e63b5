// Datagrams on the LAN. One receiver a family hears what is said to everybody; one socket an address speaks from it,
// so that no route and no DHCP is needed, and hears what is said to that address alone. Interfaces come, go and
// change address: `look` follows.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { LanInterface } from './interfaces.ts';

/** UDP port of beacons, on every device. */
const beaconPort = 5747;

const everybody = { 4: '255.255.255.255', 6: 'ff02::1' } as const;

/** Where a datagram came from. */
export interface Source {
  /** Address to answer to; link-local IPv6 with its `%interface`. */
  readonly address: string;
  /** It was said to this device alone. */
  readonly direct: boolean;
}

export type Hear = (bytes: Buffer, source: Source) => void;

interface Speaker {
  readonly socket: Socket;
  readonly family: 4 | 6;
  readonly interface: string;
  /** Bound, so that it can send. */
  bound: boolean;
}

export class Beacons {
  readonly #hear: Hear;
  readonly #port: number;
  readonly #receivers = new Map<4 | 6, Socket>();
  readonly #speakers = new Map<string, Speaker>();
  /** Interfaces that are spoken on. */
  #spoken: ReadonlySet<string> = new Set();
  #closed = false;

  constructor(hear: Hear, port: number = beaconPort) {
    this.#hear = hear;
    this.#port = port;
  }

  /** Opens and closes sockets for the interfaces as they are now. What failed is tried again at the next look. */
  look(interfaces: readonly LanInterface[]): void {
    if (this.#closed) return;
    for (const family of [4, 6] as const) this.#openReceiver(family);
    const wanted = new Map<string, () => Speaker>();
    for (const { name, addresses } of interfaces) {
      for (const { address, family, linkLocal } of addresses) {
        if (family === 6 && !linkLocal) continue;
        const local = family === 6 ? `${address}%${name}` : address;
        wanted.set(`${name} ${local}`, () => this.#openSpeaker(name, family, local));
      }
    }
    for (const [key, { socket }] of this.#speakers) {
      if (wanted.has(key)) continue;
      this.#speakers.delete(key);
      socket.close();
    }
    for (const [key, open] of wanted) if (!this.#speakers.has(key)) this.#speakers.set(key, open());
    // site0 lies on another interface: what is said there is heard from it too, and would be said twice.
    const own = interfaces.filter(
      ({ name, carrier, addresses }) => name !== 'site0' && carrier && addresses.length > 0,
    );
    this.#spoken = new Set((own.length > 0 ? own : interfaces).map(({ name }) => name));
  }

  /** Says it to everybody on every interface. Whether anybody hears it is never known. */
  broadcast(bytes: Buffer): void {
    for (const speaker of this.#speakers.values()) {
      if (!speaker.bound || !this.#spoken.has(speaker.interface)) continue;
      const to = speaker.family === 4 ? everybody[4] : `${everybody[6]}%${speaker.interface}`;
      speaker.socket.send(bytes, this.#port, to, ignore);
    }
  }

  /** Says it to one address alone, from this device's own address there. */
  sendTo(address: string, bytes: Buffer): void {
    const family = address.includes(':') ? 6 : 4;
    const zone = /%(.*)$/.exec(address)?.[1];
    for (const speaker of this.#speakers.values()) {
      if (!speaker.bound || speaker.family !== family) continue;
      if (zone !== undefined && speaker.interface !== zone) continue;
      speaker.socket.send(bytes, this.#port, address, ignore);
      if (zone !== undefined) return;
    }
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#receivers.values()) socket.close();
    for (const { socket } of this.#speakers.values()) socket.close();
    this.#receivers.clear();
    this.#speakers.clear();
  }

  #openReceiver(family: 4 | 6): void {
    if (this.#receivers.has(family)) return;
    const socket = this.#socket(family, false, () => this.#receivers.delete(family));
    this.#receivers.set(family, socket);
    // Every interface is a member of the group of all nodes by itself.
    socket.bind({ port: this.#port, address: family === 4 ? '0.0.0.0' : '::', exclusive: true });
  }

  #openSpeaker(name: string, family: 4 | 6, address: string): Speaker {
    const key = `${name} ${address}`;
    const socket = this.#socket(family, true, () => {
      if (this.#speakers.get(key)?.socket === socket) this.#speakers.delete(key);
    });
    const speaker: Speaker = { socket, family, interface: name, bound: false };
    socket.bind({ port: this.#port, address, exclusive: true }, () => {
      if (family === 4) socket.setBroadcast(true);
      speaker.bound = true;
    });
    return speaker;
  }

  #socket(family: 4 | 6, direct: boolean, forget: () => void): Socket {
    const socket = createSocket({ type: `udp${family}`, reuseAddr: true, ipv6Only: family === 6 });
    socket.on('message', (bytes: Buffer, { address }: RemoteInfo) => this.#hear(bytes, { address, direct }));
    // The address went away, or is not ready yet (IPv6 first asks whether another has it).
    socket.on('error', () => {
      forget();
      socket.close();
    });
    return socket;
  }
}

/** An interface may go away between two looks; without a callback the socket would call it an error of its own. */
function ignore(): void {}
