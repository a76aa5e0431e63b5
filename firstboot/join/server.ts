// Answering other devices of the roster. Strangers are hung up on before a byte is read.
import type { Server as NetServer, Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { isRecord } from '../../formats/json.ts';
import type { Neighbourhood } from '../formation/cluster.ts';
import { inOneLine } from '../inoneline.ts';
import type { Member } from '../protocol/site.ts';
import { Admission } from '../status/admission.ts';
import { plainAddress } from '../status/server.ts';
import { frame, largestRequest, readFrame } from './framing.ts';
import { channelPort, keyOfPeer, tlsSettings } from './peer.ts';
import { isKind, type Kind, Refused, readers, type Words } from './words.ts';

/** How the device answers each kind of request; a `Refused` is told to the asker in words. */
export type Answers = {
  readonly [K in Kind]: (asker: Member, request: Words[K]['request']) => Promise<Words[K]['answer']>;
};

/** How long a handshake, a request, and the taking of an answer may last, in milliseconds. */
const handshakeLasts = 4000;
const requestLasts = 5000;
const connectionLasts = 90_000;
/** Connections of nobody in particular yet. When one more comes, the oldest goes: a flood keeps nobody out for long. */
const mostUnknown = 48;

export class JoinServer {
  readonly #neighbourhood: Neighbourhood;
  readonly #answers: Answers;
  /** By address, before anybody knows who it is; by place after. */
  readonly #sources = new Admission();
  readonly #places = new Admission();
  readonly #unknown = new Map<string, Socket>();
  #server: NetServer | undefined;

  constructor(neighbourhood: Neighbourhood, answers: Answers) {
    this.#neighbourhood = neighbourhood;
    this.#answers = answers;
  }

  /** Listens on every address, IPv6 and IPv4. Port 0 takes a free one; the port is returned. */
  async listen(port = channelPort): Promise<number> {
    const server = createServer(
      { ...tlsSettings(this.#neighbourhood.deviceKey), requestCert: true, handshakeTimeout: handshakeLasts },
      (socket) => void this.#serve(socket),
    );
    server.on('connection', (socket: Socket) => this.#letIn(socket));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.#server = server;
    try {
      await listening(server, port, '::');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAFNOSUPPORT')) throw error;
      await listening(server, port, '0.0.0.0');
    }
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      for (const socket of this.#unknown.values()) socket.destroy();
    });
  }

  /** Before TLS: so many at once and a minute from one address, and so many unknown ones in all. */
  #letIn(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const leave = this.#sources.enter(plainAddress(socket.remoteAddress), process.uptime());
    if (leave === false) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), connectionLasts);
    const end = otherEndOf(socket);
    this.#unknown.set(end, socket);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#unknown.delete(end);
      leave();
    });
    const [oldest] = this.#unknown.values();
    if (this.#unknown.size > mostUnknown) oldest?.destroy();
  }

  async #serve(socket: TLSSocket): Promise<void> {
    socket.on('error', () => socket.destroy());
    const key = keyOfPeer(socket);
    const asker = this.#neighbourhood.site().members.find((member) => member?.key === key);
    if (key === undefined || asker === undefined || asker.denied) {
      socket.destroy();
      return;
    }
    const leave = this.#places.enter(String(asker.place), process.uptime());
    if (leave === false) {
      socket.destroy();
      return;
    }
    socket.once('close', leave);
    this.#unknown.delete(otherEndOf(socket));
    const timer = setTimeout(() => socket.destroy(), requestLasts);
    try {
      const request = await readFrame(socket, largestRequest);
      clearTimeout(timer);
      socket.end(frame(await this.#answer(asker, request)));
    } catch {
      socket.destroy();
    } finally {
      clearTimeout(timer);
    }
  }

  async #answer(asker: Member, asked: unknown): Promise<unknown> {
    if (!isRecord(asked) || !isKind(asked['kind'])) return { refused: 'this is not known here' };
    const { kind } = asked;
    try {
      return { answer: await this.#answerTo(asker, kind, asked['request']) };
    } catch (error) {
      if (!(error instanceof Refused)) console.error(`join: ${kind} for ${asker.name}: ${inOneLine(error)}`);
      return { refused: error instanceof Refused ? error.message : 'it cannot be answered now' };
    }
  }

  #answerTo<K extends Kind>(asker: Member, kind: K, request: unknown): Promise<Words[K]['answer']> {
    const read = readers[kind].request.safeParse(request);
    if (!read.success) throw new Refused('the request has another form');
    return this.#answers[kind](asker, read.data);
  }
}

function otherEndOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function listening(server: NetServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, () => {
      server.off('error', reject);
      // An error of one connection later on is no reason to end the agent.
      server.on('error', (error) => console.error(`join: ${error.message}`));
      resolve();
    });
  });
}
