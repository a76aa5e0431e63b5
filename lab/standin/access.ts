// Who asks, and what they may: the table of k3s's supervisor and the few rights of the API.
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { digestOf } from './authority.ts';
import type { Target } from './resources.ts';
import { metadataOf, nodeKey, objectAt, type State, textAt } from './state.ts';

export interface Asker {
  readonly kind: 'admin' | 'node' | 'server token' | 'agent token' | 'certificate' | 'nobody' | 'rejected';
  readonly name: string;
}

/** The asker of a request, by its client certificate or its Authorization header. `now` is wall clock: tokens end by it. */
export function askerOf(request: IncomingMessage, state: State, now: number): Asker {
  const { authorization } = request.headers;
  const { socket } = request;
  if (authorization === undefined && socket instanceof TLSSocket && socket.authorized) {
    const subject = socket.getPeerCertificate().subject;
    const name = String(subject?.CN ?? '');
    if (subject?.O === 'system:masters') return { kind: 'admin', name };
    if (subject?.O === 'system:nodes') return { kind: 'node', name: name.replace('system:node:', '') };
    return { kind: 'certificate', name };
  }
  if (authorization === undefined) return { kind: 'nobody', name: 'system:anonymous' };
  const [scheme, credentials = ''] = authorization.split(' ');
  if (scheme === 'Bearer') return bootstrapToken(credentials, state, now);
  const [user = '', ...password] = Buffer.from(credentials, 'base64').toString('utf8').split(':');
  const kept = objectAt(state.objects[tokensKey] ?? {}, 'data');
  const right = textAt(kept, user === 'server' ? 'server' : 'agent') ?? '';
  const said = digestOf(password.join(':'));
  const equal = right.length === said.length && timingSafeEqual(Buffer.from(right), Buffer.from(said));
  if (!equal || (user !== 'server' && user !== 'node')) return { kind: 'rejected', name: user };
  return { kind: user === 'server' ? 'server token' : 'agent token', name: user };
}

/** Where the digests of the cluster's tokens are kept; no path of the API names it. */
export const tokensKey = '~/tokens//tokens';

function bootstrapToken(credentials: string, state: State, now: number): Asker {
  const [id = '', secret] = credentials.split('.');
  const kept = objectAt(state.objects[`/secrets/kube-system/bootstrap-token-${id}`] ?? {}, 'data');
  const text = (key: string) => Buffer.from(textAt(kept, key) ?? '', 'base64').toString('utf8');
  const ends = Date.parse(text('expiration'));
  const valid = secret !== undefined && secret !== '' && text('token-secret') === secret && !(ends < now);
  return valid ? { kind: 'agent token', name: `system:bootstrap:${id}` } : { kind: 'rejected', name: id };
}

/** 200, 401 or 403 for a path of the supervisor. */
export function mayAskSupervisor(asker: Asker, path: string, loopback: boolean): 200 | 401 | 403 {
  if (path === '/db/info' && loopback && asker.kind === 'nobody') return 200;
  if (asker.kind === 'rejected') return 401;
  if (path === '/v1-k3s/server-bootstrap' || path === '/db/info') {
    return asker.kind === 'server token' ? 200 : 403;
  }
  return asker.kind === 'agent token' || asker.kind === 'node' ? 200 : 403;
}

/** 200, 401 or 403 for the API. */
export function mayAskApi(asker: Asker, target: Target | undefined, method: string): 200 | 401 | 403 {
  if (asker.kind === 'admin') return 200;
  if (asker.kind !== 'node') return asker.kind === 'certificate' ? 403 : 401;
  if (target === undefined) return 200; // discovery
  const { resource, namespace, name } = target;
  if (method === 'GET') return ['secrets', 'configmaps'].includes(resource.name) ? 403 : 200;
  // A new node's name is in the body; the model has the last word on it.
  if (resource.name === 'nodes')
    return (name ?? asker.name) === asker.name && method !== 'DELETE' ? 200 : 403;
  return resource.name === 'leases' && namespace === 'kube-node-lease' ? 200 : 403;
}

/** A node's certificate counts at the supervisor only while its Node exists. */
export function nodeExists(state: State, name: string): boolean {
  return textAt(metadataOf(state.objects[nodeKey(name)] ?? {}), 'uid') !== undefined;
}
