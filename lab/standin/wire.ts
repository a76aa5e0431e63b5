// How the stand-in's servers speak to each other: TLS on port 2380 with the certificates of etcd's peers, JSON lines.
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';

const port = 2380;

interface Credentials {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

interface Line {
  /** A call has a number, and so has its answer. */
  readonly call?: number;
  readonly answer?: number;
  readonly failed?: string;
  readonly body: unknown;
}

interface Waiting {
  readonly socket: TLSSocket;
  readonly done: (body: unknown) => void;
  readonly failed: (error: Error) => void;
}

/** One socket to each server, opened when there is something to say; what cannot be said is lost. */
export class Wire {
  readonly #credentials: Credentials;
  readonly #sockets = new Map<string, TLSSocket>();
  readonly #waiting = new Map<number, Waiting>();
  #server: Server | undefined;
  #calls = 0;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** `hear` takes what is said; `asked` answers calls. */
  async listen(address: string, hear: (body: unknown) => void, asked: (body: unknown) => Promise<unknown>) {
    const { authority, certificate, key } = this.#credentials;
    this.#server = createServer(
      { ca: authority, cert: certificate, key, requestCert: true, rejectUnauthorized: true },
      (socket) => {
        socket.on('error', () => socket.destroy());
        onLines(socket, (line) => {
          if (line.call === undefined) return hear(line.body);
          const answer = line.call;
          asked(line.body).then(
            (body) => write(socket, { answer, body }),
            (error: unknown) => write(socket, { answer, failed: String(error), body: null }),
          );
        });
      },
    );
    const server = this.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, address, resolve);
    });
  }

  say(address: string, body: unknown): void {
    write(this.#socketTo(address), { body });
  }

  ask(address: string, body: unknown, milliseconds = 7_000): Promise<unknown> {
    this.#calls += 1;
    const call = this.#calls;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () => settle(() => reject(new Error('etcdserver: request timed out'))),
        milliseconds,
      );
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(call);
        end();
      };
      const socket = this.#socketTo(address);
      this.#waiting.set(call, {
        socket,
        done: (answer) => settle(() => resolve(answer)),
        failed: (error) => settle(() => reject(error)),
      });
      write(socket, { call, body });
    });
  }

  #socketTo(address: string): TLSSocket {
    const open = this.#sockets.get(address);
    if (open !== undefined && !open.destroyed) return open;
    const { authority, certificate, key } = this.#credentials;
    const socket = connect({
      host: address,
      port,
      ca: authority,
      cert: certificate,
      key,
      checkServerIdentity: () => undefined,
    });
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    // Nobody answers on a socket that is gone.
    socket.on('close', () => {
      for (const waiting of this.#waiting.values())
        if (waiting.socket === socket) waiting.failed(new Error(`${address}: no answer`));
    });
    onLines(socket, (line) => {
      const waiting = line.answer === undefined ? undefined : this.#waiting.get(line.answer);
      if (line.failed === undefined) waiting?.done(line.body);
      else waiting?.failed(new Error(line.failed.replace(/^(Error: )+/, '')));
    });
    this.#sockets.set(address, socket);
    return socket;
  }
}

function write(socket: TLSSocket, line: Line): void {
  if (!socket.destroyed && socket.writableLength < 8_000_000) socket.write(`${JSON.stringify(line)}\n`);
}

function onLines(socket: TLSSocket, take: (line: Line) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(JSON.parse(line));
  });
}
