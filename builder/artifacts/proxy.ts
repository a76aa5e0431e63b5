// Proxies as the environment names them: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, in either case. Every request goes through
// a tunnel (CONNECT, RFC 9110 9.3.6).
import * as http from 'node:http';
import * as https from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { Failure } from '../../formats/errors.ts';

/** The proxy for an address, if the environment names one and does not except the host. */
export function proxyFor(target: URL, environment: NodeJS.ProcessEnv = process.env): URL | undefined {
  const read = (name: string) => environment[name.toLowerCase()] || environment[name] || undefined;
  const given =
    target.protocol === 'https:' ? (read('HTTPS_PROXY') ?? read('HTTP_PROXY')) : read('HTTP_PROXY');
  if (given === undefined || excepted(target, read('NO_PROXY') ?? '')) return undefined;
  const address = given.includes('://') ? given : `http://${given}`;
  if (/^https?:/i.test(address) && URL.canParse(address)) return new URL(address);
  throw new Failure('input', {
    what: 'the environment names a proxy that is none',
    // It may hold a password.
    why: 'HTTP_PROXY or HTTPS_PROXY is no address of http or https',
    fix: 'write http://HOST:PORT, or unset it',
  });
}

/** Agents that reach any host through the tunnel of a proxy. */
export function agentsThrough(proxy: URL): { http: http.Agent; https: https.Agent } {
  return { http: new PlainTunnel(proxy), https: new TlsTunnel(proxy) };
}

/** `NO_PROXY`: hosts and domain suffixes, parted by commas; `*` excepts everything. Ports are compared if given. */
function excepted(target: URL, list: string): boolean {
  const port = target.port || (target.protocol === 'https:' ? '443' : '80');
  const host = target.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return list.split(/[\s,]+/).some((entry) => {
    const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (name === '' || (only !== undefined && only !== port)) return false;
    const suffix = name.replace(/^\*?\.?/, '');
    return name === '*' || host === suffix || host.endsWith(`.${suffix}`);
  });
}

/** What Node hands to `createConnection`, and how it is told of the socket. */
type Target = http.ClientRequestArgs;
type Tell = (error: Error | null, socket: Duplex) => void;

class PlainTunnel extends http.Agent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super();
    this.#proxy = proxy;
  }

  override createConnection(target: Target, tell: Tell): undefined {
    openTunnel(this.#proxy, target).then((socket) => tell(null, socket), failing(tell));
  }
}

class TlsTunnel extends https.Agent {
  readonly #proxy: URL;

  constructor(proxy: URL) {
    super();
    this.#proxy = proxy;
  }

  override createConnection(target: https.RequestOptions, tell: Tell): undefined {
    const secured = openTunnel(this.#proxy, target).then((socket) => {
      const { host, ca, cert, key, rejectUnauthorized } = target;
      const given = { host: host ?? undefined, ca, cert, key, rejectUnauthorized };
      return connect({ ...given, socket, servername: host ?? undefined });
    });
    secured.then((socket) => tell(null, socket), failing(tell));
  }
}

function failing(tell: Tell): (error: Error) => void {
  return (error) => tell(error, new Socket().destroy());
}

function openTunnel(proxy: URL, target: Target): Promise<Duplex> {
  const authority = `${target.host}:${target.port}`;
  const user = decodeURIComponent(proxy.username);
  const password = decodeURIComponent(proxy.password);
  const credentials = Buffer.from(`${user}:${password}`).toString('base64');
  const secure = proxy.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request({
      host: proxy.hostname,
      port: proxy.port || (secure ? 443 : 80),
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...(user === '' ? {} : { 'proxy-authorization': `Basic ${credentials}` }) },
      agent: false,
    });
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answers ${response.statusCode} ${response.statusMessage}`));
    });
    request.once('error', (error) => reject(new Error(`the proxy ${proxy.host}: ${error.message}`)));
    request.end();
  });
}
