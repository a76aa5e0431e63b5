// The API of Kubernetes and the supervisor of k3s, asked over HTTPS with the files k3s made for it.
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import got, { type Got } from 'got';
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

export class Api {
  readonly #got: Got;
  readonly #agent: Agent;
  readonly #server: string;
  readonly #ca: string;

  private constructor(server: string, https: { ca: string; certificate: string; key: string }) {
    this.#server = server;
    this.#ca = https.ca;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 2 });
    this.#got = got.extend({
      prefixUrl: server,
      // Kubernetes names by it who wrote a field: emptiness.ts.
      headers: { 'user-agent': 'edgekiln/1' },
      https: {
        certificateAuthority: https.ca,
        certificate: https.certificate,
        key: https.key,
      },
      agent: { https: this.#agent },
      throwHttpErrors: false,
      retry: { limit: 0 },
      timeout: { request: 10_000 },
      responseType: 'text',
    });
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
      certificate: await part('client-certificate'),
      key: await part('client-key'),
    });
  }

  /** One request; any status is an answer. */
  async ask(method: Method, path: string, body?: unknown, type = 'application/json'): Promise<Answer> {
    const { statusCode, body: text } = await this.#got(path.replace(/^\//, ''), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': type } }),
    });
    return { status: statusCode, body: parsed(text) };
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
    const { statusCode, body } = await got(`${this.#server}/db/info`, {
      https: { certificateAuthority: this.#ca },
      username: 'server',
      password: token,
      throwHttpErrors: false,
      retry: { limit: 0 },
      timeout: { request: 5000 },
      responseType: 'text',
    });
    const value = parsed(body);
    if (statusCode !== 200 || !isRecord(value) || !Array.isArray(value['members']))
      throw new Error(`/db/info answered ${statusCode}`);
    return value['members'].filter(isRecord).map(memberOf);
  }

  close(): void {
    this.#agent.destroy();
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
