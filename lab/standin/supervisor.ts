// Port 6443: the supervisor's endpoints, and the API behind the same door.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Asker, askerOf, mayAskApi, mayAskSupervisor, nodeExists } from './access.ts';
import { belongs, type Reply, read, refusal } from './api.ts';
import { type Authorities, bootstrapOf, digestOf } from './authority.ts';
import { issue } from './certificate.ts';
import type { Etcd } from './etcd.ts';
import { discovery, type Target, targetOf } from './resources.ts';
import { type Happening, isObject, type Json, type JsonObject, metadataOf, objectAt } from './state.ts';

/** What of a server answers requests. `etcd` is undefined until it is there. */
export interface Served {
  readonly authorities: Authorities;
  etcd: Etcd | undefined;
  /** What `/v1-k3s/config` says. */
  readonly config: JsonObject;
  ready(): boolean;
}

export async function answer(
  served: Served,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'https://k3s');
  const path = url.pathname;
  try {
    if (path === '/ping') return text(response, 200, 'pong');
    if (path === '/cacerts') return text(response, 200, served.authorities['server-ca'].certificate);
    const { etcd } = served;
    if (etcd === undefined || etcd.hung) return text(response, 503, 'starting');
    const asker = askerOf(request, etcd.state, Date.now());
    if (path.startsWith('/v1-k3s/') || path === '/db/info') {
      const loopback = /^(::ffff:)?127\./.test(request.socket.remoteAddress ?? '');
      const may = mayAskSupervisor(asker, path, loopback);
      if (may !== 200) return text(response, may, may === 401 ? 'Unauthorized' : 'Forbidden');
      return await supervise(served, etcd, asker, path, request, response);
    }
    if (!served.ready()) return reply(response, refusal(503, 'ServiceUnavailable', 'starting'));
    if (path === '/readyz' || path === '/livez' || path === '/healthz') {
      if (asker.kind !== 'admin' && asker.kind !== 'node') return text(response, 401, 'Unauthorized');
      await etcd.barrier();
      return text(response, 200, 'ok');
    }
    await serveApi(etcd, asker, url, request, response);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!response.headersSent) reply(response, refusal(500, 'InternalError', message));
    else response.destroy();
  }
}

async function supervise(
  served: Served,
  etcd: Etcd,
  asker: Asker,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { authorities } = served;
  if (path === '/db/info') return json(response, 200, { members: membersOf(etcd) });
  if (path === '/v1-k3s/readyz')
    return text(response, served.ready() ? 200 : 503, served.ready() ? 'ok' : '');
  if (path === '/v1-k3s/config') return json(response, 200, served.config);
  if (path === '/v1-k3s/client-ca.crt') return text(response, 200, authorities['client-ca'].certificate);
  if (path === '/v1-k3s/server-bootstrap') return json(response, 200, bootstrapOf(authorities));
  if (path === '/v1-k3s/apiservers') {
    const voters = etcd.state.roll.members.filter((member) => member.voter);
    return json(
      response,
      200,
      voters.map((member) => `${member.address}:6443`),
    );
  }
  if (path !== '/v1-k3s/client-kubelet.crt' || request.method !== 'POST') return text(response, 501, '');
  if (!served.ready()) return text(response, 503, 'starting');
  const name = String(request.headers['k3s-node-name'] ?? '');
  const password = String(request.headers['k3s-node-password'] ?? '');
  if (name === '' || password === '') return text(response, 400, 'node name or password not set');
  await etcd.barrier();
  if (asker.kind === 'node') {
    if (asker.name !== name) return text(response, 400, 'header node name does not match auth node name');
    if (!nodeExists(etcd.state, name)) return text(response, 401, 'no such node');
  }
  const outcome = await etcd.request({ kind: 'password', name, hash: digestOf(password) });
  if (isObject(outcome) && outcome['status'] !== 200) return text(response, 403, 'Node password rejected');
  const subject = { commonName: `system:node:${name}`, organizations: ['system:nodes'] };
  const pair = issue(authorities['client-ca'], subject, 'client', [], Date.now());
  json(response, 200, { ...pair, clientAuthority: authorities['client-ca'].certificate });
}

/** As etcd lists its members; one that never started has no name. */
function membersOf(etcd: Etcd): Json {
  return etcd.state.roll.members.map((member) => ({
    ID: member.id,
    ...(member.name === undefined ? {} : { name: member.etcdName }),
    peerURLs: [`https://${member.address}:2380`],
    ...(member.name === undefined ? {} : { clientURLs: [`https://${member.address}:2379`] }),
    ...(member.voter ? {} : { isLearner: true }),
  }));
}

async function serveApi(
  etcd: Etcd,
  asker: Asker,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = url.pathname;
  const method = request.method ?? 'GET';
  const target = targetOf(path);
  const may = mayAskApi(asker, target, method);
  if (may === 401) return reply(response, refusal(401, 'Unauthorized', 'Unauthorized'));
  if (may === 403)
    return reply(response, refusal(403, 'Forbidden', `${asker.name} may not ${method} ${path}`));
  if (target === undefined) {
    const found = path === '/version' ? { gitVersion: 'v0.0.0+edgekiln-stand-in' } : discovery(path);
    if (found !== undefined && method === 'GET') return json(response, 200, found);
    if (/^\/apis\/[^/]+\/[^/]+$/.test(path)) {
      return reply(response, refusal(404, 'NotFound', 'the server could not find the requested resource'));
    }
    return reply(response, refusal(501, 'NotImplemented', `${path} is not in the stand-in`));
  }
  if (method === 'GET') {
    await etcd.barrier();
    const selects = selectorOf(url.searchParams);
    if (['1', 'true'].includes(url.searchParams.get('watch') ?? '')) {
      return watch(etcd, target, url.searchParams, selects, request, response);
    }
    return reply(response, read(etcd.state, target, selects));
  }
  if (!['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)) {
    return reply(response, refusal(501, 'NotImplemented', `${method} is not in the stand-in`));
  }
  const type = request.headers['content-type'] ?? '';
  if (method === 'PATCH' && !/merge-patch|apply-patch/.test(type)) {
    return reply(response, refusal(501, 'NotImplemented', `a patch of type ${type} is not in the stand-in`));
  }
  const body = await bodyOf(request);
  const user = asker.kind === 'node' ? `system:node:${asker.name}` : asker.name;
  const manager = url.searchParams.get('fieldManager') ?? 'unknown';
  const done = await etcd.request({ kind: 'api', method, path, type, user, manager, body });
  if (!isObject(done)) throw new Error('no answer');
  json(response, Number(done['status']), done['body'] ?? null);
}

async function bodyOf(request: IncomingMessage): Promise<JsonObject> {
  let all = '';
  request.setEncoding('utf8');
  for await (const part of request) all += part;
  if (all === '') return {};
  const { parse } = await import('yaml');
  return all.trimStart().startsWith('{') ? JSON.parse(all) : parse(all);
}

/** `labelSelector` and `fieldSelector` of equalities, and labels that only must be there. */
function selectorOf(query: URLSearchParams): (object: JsonObject) => boolean {
  const labels = (query.get('labelSelector') ?? '').split(',').filter((part) => part !== '');
  const fields = (query.get('fieldSelector') ?? '').split(',').filter((part) => part !== '');
  return (object) =>
    labels.every((part) => {
      const [name = '', value] = part.split(/==?/);
      const label = objectAt(metadataOf(object), 'labels')[name];
      return value === undefined ? label !== undefined : label === value;
    }) &&
    fields.every((part) => {
      const [path = '', value] = part.split(/==?/);
      const at = path
        .split('.')
        .reduce<Json | undefined>((one, key) => (isObject(one) ? one[key] : undefined), object);
      return at === value;
    });
}

function watch(
  etcd: Etcd,
  target: Target,
  query: URLSearchParams,
  selects: (object: JsonObject) => boolean,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const from = Number(query.get('resourceVersion') ?? etcd.state.revision) || 0;
  response.writeHead(200, { 'content-type': 'application/json' });
  const say = (happened: readonly Happening[]): void => {
    for (const { type, key, object } of happened) {
      if (belongs(key, target) && selects(object)) response.write(`${JSON.stringify({ type, object })}\n`);
    }
  };
  const oldest = etcd.history[0]?.revision ?? etcd.state.revision + 1;
  if (from > 0 && from + 1 < oldest) {
    const { body } = refusal(410, 'Expired', 'too old resource version');
    response.end(`${JSON.stringify({ type: 'ERROR', object: body })}\n`);
    return;
  }
  say(etcd.history.filter((one) => one.revision > from));
  etcd.on('happened', say);
  const end = setTimeout(() => response.end(), (Number(query.get('timeoutSeconds')) || 1800) * 1000);
  request.on('close', () => {
    clearTimeout(end);
    etcd.off('happened', say);
  });
}

function reply(response: ServerResponse, { status, body }: Reply): void {
  json(response, status, body);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
}
