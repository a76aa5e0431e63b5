// A mirror on this machine that behaves as badly as a test asks for.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

export interface Mirror {
  readonly url: string;
  /** The requests so far: their paths, and what they say of ranges. */
  readonly asked: { readonly path: string; readonly range?: string; readonly ifRange?: string }[];
  stop(): Promise<void>;
}

/** Starts a mirror; every request is answered by `behave`. */
export async function startMirror(behave: Behaviour): Promise<Mirror> {
  const asked: Mirror['asked'] = [];
  const server = createServer((request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    asked.push({
      path: request.url ?? '',
      ...(range && { range }),
      ...(ifRange && { ifRange: String(ifRange) }),
    });
    behave(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, asked, stop };
}

/** An honest mirror of one file: ranges, a strong validator, a length. */
export function serve(content: Uint8Array, tag = '"1"'): Behaviour {
  return (request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const partial = range !== undefined && (ifRange === undefined || ifRange === tag);
    const body = partial ? content.subarray(start) : content;
    response.setHeader('etag', tag);
    response.setHeader('content-length', body.length);
    if (partial)
      response.setHeader('content-range', `bytes ${start}-${content.length - 1}/${content.length}`);
    response.writeHead(partial ? 206 : 200).end(body);
  };
}
