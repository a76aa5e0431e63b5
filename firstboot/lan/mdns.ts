// A stable name without a name server: answers `NAME.local` (RFC 6762), and nothing else. It announces nothing, keeps
// no cache and asks nobody; names are unique by the roster.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { LanInterface } from './interfaces.ts';

const port = 5353;
const group = '224.0.0.251';
/** Seconds that an answer may be kept: addresses change with DHCP. */
const lifetime = 120;
const typeA = 1;
const typeAny = 255;
const classIn = 1;
/** In a question: answer me alone. In an answer: this is all there is. */
const topBit = 0x8000;
/** Answers a second at most, so that nobody makes us flood. */
const perSecond = 10;

/** One socket an interface: joined to the group there, answering with the IPv4 addresses of that interface. */
export class NameResponder {
  readonly #name: string;
  readonly #sockets = new Map<string, Socket>();
  #addresses: ReadonlyMap<string, readonly string[]> = new Map();
  #second = 0;
  #answered = 0;

  /** `hostname` without `.local`. */
  constructor(hostname: string) {
    this.#name = `${hostname}.local`.toLowerCase();
  }

  /** Follows the interfaces. */
  look(interfaces: readonly LanInterface[]): void {
    const usable = interfaces.filter(({ name }) => name !== 'site0');
    this.#addresses = new Map(
      usable.map(({ name, addresses }) => [
        name,
        addresses.filter(({ family, linkLocal }) => family === 4 && !linkLocal).map(({ address }) => address),
      ]),
    );
    const wanted = new Map<string, string>();
    for (const [name, [first]] of this.#addresses)
      if (first !== undefined) wanted.set(`${name} ${first}`, first);
    for (const [key, socket] of this.#sockets) {
      if (wanted.has(key)) continue;
      this.#sockets.delete(key);
      socket.close();
    }
    for (const [key, address] of wanted) if (!this.#sockets.has(key)) this.#open(key, address);
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #open(key: string, address: string): void {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    this.#sockets.set(key, socket);
    const name = key.split(' ')[0] ?? '';
    const fail = (): void => {
      if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      socket.close();
    };
    socket.on('error', fail);
    socket.on('message', (bytes: Buffer, from: RemoteInfo) => this.#answer(socket, name, bytes, from));
    socket.bind({ port, address: group, exclusive: true }, () => {
      try {
        socket.addMembership(group, address);
        socket.setMulticastInterface(address);
        socket.setMulticastTTL(255);
      } catch {
        fail(); // the address went away meanwhile: the next look opens another
      }
    });
  }

  #answer(socket: Socket, name: string, bytes: Buffer, from: RemoteInfo): void {
    const question = questionFor(bytes, this.#name);
    const addresses = this.#addresses.get(name) ?? [];
    if (question === undefined || addresses.length === 0 || !this.#mayAnswer()) return;
    // A plain resolver asks from another port and wants its number and its question back.
    const plain = from.port !== port;
    const alone = plain || question.alone;
    const answer = answerWith(this.#name, addresses, plain ? { id: question.id } : undefined);
    socket.send(answer, alone ? from.port : port, alone ? from.address : group, () => {});
  }

  #mayAnswer(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) this.#answered = 0;
    this.#second = second;
    this.#answered += 1;
    return this.#answered <= perSecond;
  }
}

interface Question {
  readonly id: number;
  readonly alone: boolean;
}

/** The question for the address of this name in a DNS message, if it holds one. Never throws. */
export function questionFor(bytes: Buffer, name: string): Question | undefined {
  if (bytes.length < 12 || (bytes.readUInt16BE(2) & topBit) !== 0) return undefined; // an answer
  let at = 12;
  for (let left = bytes.readUInt16BE(4); left > 0; left -= 1) {
    const labels: string[] = [];
    for (;;) {
      const length = bytes[at];
      // Questions come first: nothing before them could be pointed at, but by questions of the same message.
      if (length === undefined || length > 63) return undefined;
      at += 1;
      if (length === 0) break;
      labels.push(bytes.toString('latin1', at, at + length));
      at += length;
    }
    if (at + 4 > bytes.length) return undefined;
    const type = bytes.readUInt16BE(at);
    const klass = bytes.readUInt16BE(at + 2);
    at += 4;
    const asked = (type === typeA || type === typeAny) && (klass & ~topBit) === classIn;
    if (asked && labels.join('.').toLowerCase() === name)
      return { id: bytes.readUInt16BE(0), alone: (klass & topBit) !== 0 };
  }
  return undefined;
}

/** The answer: the name's IPv4 addresses. `plain` repeats number and question, as resolvers that know no mDNS expect. */
export function answerWith(
  name: string,
  addresses: readonly string[],
  plain?: { readonly id: number },
): Buffer {
  const encoded = Buffer.concat([
    ...name
      .split('.')
      .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ]);
  const words = (...values: number[]): Buffer => {
    const buffer = Buffer.alloc(values.length * 2);
    values.forEach((value, index) => {
      buffer.writeUInt16BE(value, index * 2);
    });
    return buffer;
  };
  const header = words(plain?.id ?? 0, 0x8400, plain === undefined ? 0 : 1, addresses.length, 0, 0);
  const question = plain === undefined ? [] : [encoded, words(typeA, classIn)];
  const unique = plain === undefined ? topBit : 0;
  const records = addresses.flatMap((address) => [
    encoded,
    words(typeA, classIn | unique, 0, lifetime, 4),
    Buffer.from(address.split('.').map(Number)),
  ]);
  return Buffer.concat([header, ...question, ...records]);
}
