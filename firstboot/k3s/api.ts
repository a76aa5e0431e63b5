// The API of Kubernetes and the supervisor of k3s, asked over HTTPS with the files k3s made for it. By Node's own client:
// an agent at rest asks every half a minute for years, and a client library costs it more than all else together.
import { readFile } from 'node:fs/promises';
import { Agent, type RequestOptions, request } from 'node:https';
import { isRecord } from '../../formats/json.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The API server said no: the status says which no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(what: string, { status, body }: Answer) {
    const message =
      isRecord(body) && typeof body['message'] === 'string' ? body['message'] : `status ${status}`;
    super(`${what}: ${message}`);
    this.status = status;
  }
}

/** How long an answer may take, in milliseconds. */
const patience = 10_000;

export class Api {
  readonly #server: URL;
  /** Connections by certificate, and those without one: the supervisor asks for a password there. */
  readonly #agent: Agent;
  readonly #plain: Agent;

  private constructor(server: string, https: { ca: string; cert: string; key: string }) {
    this.#server = new URL(server);
    this.#agent = new Agent({ ...https, keepAlive: true, maxSockets: 2 });
    this.#plain = new Agent({ ca: https.ca, keepAlive: true, maxSockets: 1 });
  }

  /** A client from a kubeconfig of k3s: certificates inline (admin) or by path (kubelet). */
  static async open(kubeconfig: string): Promise<Api> {
    const text = await readFile(kubeconfig, 'utf8');
    const value = (name: string): string | undefined =>
      new RegExp(`^\\s*${name}: "?([^"\\s]+)"?\\s*$`, 'm').exec(text)?.[1];
    const part = async (name: string): Promise<string> => {
      const inline = value(`${name}-data`);
      if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
      const path = value(name);
      if (path === undefined) throw new Error(`${kubeconfig} has no ${name}`);
      return readFile(path, 'utf8');
    };
    const server = value('server');
    if (server === undefined) throw new Error(`${kubeconfig} names no server`);
    return new Api(server, {
      ca: await part('certificate-authority'),
      cert: await part('client-certificate'),
      key: await part('client-key'),
    });
  }

  /** One request; any status is an answer. */
  async ask(method: Method, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      // Kubernetes names by it who wrote a field: emptiness.ts.
      'user-agent': 'edgekiln/1',
      ...(text === undefined ? {} : { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
    };
    return this.#request({ agent: this.#agent, method, path, headers }, text);
  }

  /** One request whose answer is an object; fails with `ApiError` on any other. */
  async object(
    method: Method,
    path: string,
    body?: unknown,
    type?: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.ask(method, path, body, type);
    if (answer.status >= 300 || !isRecord(answer.body)) throw new ApiError(`${method} ${path}`, answer);
    return answer.body;
  }

  /** The items of a list. */
  async list(path: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { items } = await this.object('GET', path);
    return Array.isArray(items) ? items.filter(isRecord) : [];
  }

  /**
   * Members of etcd, from the supervisor behind the same door, which wants the server token. The numbers of members do
   * not fit a double, and are not needed.
   */
  async members(token: string): Promise<readonly EtcdMember[]> {
    const asked = { agent: this.#plain, path: '/db/info', auth: `server:${token}` };
    const { status, body } = await this.#request(asked);
    if (status !== 200 || !isRecord(body) || !Array.isArray(body['members']))
      throw new Error(`/db/info answered ${status}`);
    return body['members'].filter(isRecord).map(memberOf);
  }

  close(): void {
    this.#agent.destroy();
    this.#plain.destroy();
  }

  #request(options: RequestOptions, text?: string): Promise<Answer> {
    const { hostname, port } = this.#server;
    return new Promise((resolve, reject) => {
      const asked = request({ ...options, host: hostname.replace(/^\[|\]$/g, ''), port }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          body += part;
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode ?? 0, body: parsed(body) });
        });
      });
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      const timer = setTimeout(() => asked.destroy(new Error('k3s does not answer in time')), patience);
      asked.on('error', fail);
      asked.end(text);
    });
  }
}

/** A member of etcd. */
export interface EtcdMember {
  /** Empty between MemberAdd and the first start. */
  readonly name: string;
  /** Address of its peer URL: known from the beginning. */
  readonly address: string;
  readonly voter: boolean;
}

function memberOf(member: Readonly<Record<string, unknown>>): EtcdMember {
  const urls = member['peerURLs'];
  const url = Array.isArray(urls) && typeof urls[0] === 'string' ? urls[0] : '';
  return {
    name: typeof member['name'] === 'string' ? member['name'] : '',
    address: /^https?:\/\/\[?([^\]/]+?)\]?(:\d+)?$/.exec(url)?.[1] ?? '',
    voter: member['isLearner'] !== true,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
