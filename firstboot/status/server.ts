// Serving the status: a page for the LAN, and the same over a unix socket for the command line.
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import { dirname } from 'node:path';
import { Admission } from './admission.ts';
import { contentSecurityPolicy, renderPage } from './page.ts';
import type { Status } from './status.ts';
import { renderJson, renderSlotsJson, renderSlotsText, renderText } from './text.ts';

/** What a client may take to send its request or to read the answer, in milliseconds; both are small. */
const patience = 3000;
const connections = 32;

interface Document {
  readonly type: string;
  readonly render: (status: Status) => string;
}

const documents: ReadonlyMap<string, Document> = new Map([
  ['/', { type: 'text/html; charset=utf-8', render: renderPage }],
  ['/status.json', { type: 'application/json', render: renderJson }],
  ['/status.txt', { type: 'text/plain; charset=utf-8', render: renderText }],
  ['/slots.json', { type: 'application/json', render: renderSlotsJson }],
  ['/slots.txt', { type: 'text/plain; charset=utf-8', render: renderSlotsText }],
]);

/** Serves on the unix socket, which everybody on the device may ask: there is no secret in a status. */
export async function serveSocket(path: string, current: () => Status): Promise<Server> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const server = newServer(current);
  await listening(server, { path });
  await chmod(path, 0o666);
  return server;
}

/** What root may tell the agent, by path; each gives words for people. */
export type Orders = Readonly<Record<string, () => string>>;

/** Takes orders on a unix socket that only its owner may use. */
export async function serveOrders(path: string, orders: Orders): Promise<Server> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const server = createServer((request, response) => {
    const order = request.method === 'POST' ? orders[request.url ?? ''] : undefined;
    if (order === undefined) finish(response, 404, 'text/plain', 'there is no such order\n');
    else finish(response, 200, 'text/plain', order());
  });
  // Closed to others from its first moment on: the service runs with umask 0077, and this holds without it.
  const before = process.umask(0o177);
  try {
    await listening(server, { path });
  } finally {
    process.umask(before);
  }
  return server;
}

/**
 * Serves on every address of the device, IPv6 and IPv4, and hangs up where `mayServe` says no to the address a client
 * came to. So addresses may come and go. Without IPv6 in the kernel, IPv4 alone. Port 0 takes a free one.
 */
export async function servePage(
  port: number,
  current: () => Status,
  mayServe: (localAddress: string) => boolean,
): Promise<Server> {
  const admission = new Admission();
  const server = newServer(current);
  server.on('connection', (socket) => {
    const leave = admission.enter(plainAddress(socket.remoteAddress), process.uptime());
    if (leave !== false) socket.once('close', leave);
    if (leave === false || !mayServe(plainAddress(socket.localAddress))) socket.destroy();
  });
  try {
    await listening(server, { port, host: '::' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAFNOSUPPORT')) throw error;
    await listening(server, { port, host: '0.0.0.0' });
  }
  return server;
}

/** An address without its zone and without the mapping of IPv4 into IPv6. */
export function plainAddress(address = ''): string {
  return address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/, '');
}

function newServer(current: () => Status): Server {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: patience,
      requestTimeout: patience,
      // Whoever says nothing is hung up on by the inactivity below; this is for those that say a little now and then.
      connectionsCheckingInterval: 5000,
    },
    (request, response) => answer(request, response, current),
  );
  server.maxConnections = connections;
  server.maxRequestsPerSocket = 1;
  server.timeout = patience;
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, current: () => Status): void {
  response.shouldKeepAlive = false;
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Security-Policy', contentSecurityPolicy);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    finish(response, 405, 'text/plain', 'only GET and HEAD\n');
    return;
  }
  const document = documents.get((request.url ?? '').replace(/\?.*$/s, ''));
  if (document === undefined) {
    finish(response, 404, 'text/plain', `there is ${[...documents.keys()].join(', ')}\n`);
    return;
  }
  finish(response, 200, document.type, document.render(current()));
}

/** For HEAD, Node itself holds the body back. */
function finish(response: ServerResponse, code: number, type: string, body: string): void {
  response.writeHead(code, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      // An error of one connection later on is no reason to end the agent.
      server.on('error', (error) => console.error(`status: ${error.message}`));
      resolve();
    });
  });
}
