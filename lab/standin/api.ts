// The API of the stand-in: what a request does to the state. Reads are answered by any server, writes by the leader.
import { type Cluster, deleteNode, type Outcome, registerNode } from './model.ts';
import { apiVersionOf, keyOf, type Target, targetOf } from './resources.ts';
import {
  type Change,
  changesTo,
  isObject,
  type Json,
  type JsonObject,
  metadataOf,
  nodeKey,
  objectAt,
  passwordKey,
  type State,
  textAt,
  type Value,
  viewOf,
} from './state.ts';

export interface Reply {
  readonly [key: string]: Json;
  readonly status: number;
  readonly body: Json;
}

export interface Decided {
  readonly reply: Reply;
  readonly value?: Value;
}

/** What the decision needs beside the state. */
export interface Surroundings {
  readonly ca: string;
  readonly alive: (node: string | undefined) => boolean;
}

/** A `Status` as the API says no. */
export function refusal(status: number, reason: string, message: string): Reply {
  return {
    status,
    body: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      code: status,
    },
  };
}

/** GET of an object or a list. */
export function read(state: State, target: Target, selector: (object: JsonObject) => boolean): Reply {
  const { resource, name } = target;
  if (name !== undefined) {
    const object = state.objects[keyOf(target, name)];
    if (object === undefined) {
      return refusal(404, 'NotFound', `${resource.name} "${name}" not found`);
    }
    return { status: 200, body: object };
  }
  const items = Object.entries(state.objects)
    .filter(([key, object]) => belongs(key, target) && selector(object))
    .map(([, object]) => object);
  const metadata = { resourceVersion: String(state.revision) };
  return {
    status: 200,
    body: { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items },
  };
}

/** Whether a key is of what a list or a watch is about. */
export function belongs(key: string, { resource, namespace, name }: Target): boolean {
  const [group, plural, space, called] = key.split('/');
  return (
    group === resource.group &&
    plural === resource.name &&
    (namespace === '' || space === namespace) &&
    (name === undefined || called === name)
  );
}

/** POST, PUT, PATCH and DELETE. */
export function decideWrite(
  state: State,
  request: JsonObject,
  now: number,
  { ca, alive }: Surroundings,
): Decided {
  const target = targetOf(textAt(request, 'path') ?? '');
  const method = textAt(request, 'method');
  const body = objectAt(request, 'body');
  if (target === undefined) return { reply: refusal(501, 'NotImplemented', 'not in the stand-in') };
  const user = textAt(request, 'user') ?? '';
  const node = /^system:node:(.+)$/.exec(user)?.[1];
  const view = viewOf(state, ca);
  if (node !== undefined && view.denied.includes(node)) {
    const rule = `ValidatingAdmissionPolicy denied request of ${user}`;
    return { reply: refusal(422, 'Invalid', rule) };
  }
  const name = target.name ?? textAt(metadataOf(body), 'name') ?? generated(state, body);
  const key = keyOf(target, name);
  const old = state.objects[key];
  if (method === 'DELETE') {
    return old === undefined
      ? { reply: refusal(404, 'NotFound', `${target.resource.name} "${name}" not found`) }
      : remove(state, target, name, old, body, { ca, alive });
  }
  const apply = textAt(request, 'type')?.startsWith('application/apply-patch') === true;
  if (method === 'POST' && old !== undefined) {
    return { reply: refusal(409, 'AlreadyExists', `${target.resource.name} "${name}" already exists`) };
  }
  if (method !== 'POST' && old === undefined && !apply) {
    return { reply: refusal(404, 'NotFound', `${target.resource.name} "${name}" not found`) };
  }
  if (old !== undefined && stale(old, metadataOf(body))) {
    return { reply: refusal(409, 'Conflict', 'the object has been modified') };
  }
  if (target.namespace !== '' && state.objects[`/namespaces//${target.namespace}`] === undefined) {
    return { reply: refusal(404, 'NotFound', `namespaces "${target.namespace}" not found`) };
  }
  const merged = apply ? applied(old, body, textAt(request, 'manager') ?? 'unknown') : undefined;
  const next = merged ?? (method === 'PATCH' ? mergePatch(old ?? {}, body) : { ...body });
  if (!isObject(next)) return { reply: refusal(400, 'BadRequest', 'not an object') };
  const object = withMetadata(next, old, target, name, now);
  if (key === nodeKey(name) && old === undefined) {
    const refused = refusedNode(view, state, name);
    if (refused !== undefined) return { reply: refused };
  }
  return wrote(state, key, object, method === 'POST' || old === undefined ? 201 : 200);
}

function wrote(state: State, key: string, object: JsonObject, status: number): Decided {
  const value: Value = { changes: [{ key, object }], ...policies(state, { key, object }) };
  return { reply: { status, body: object, key }, value };
}

/** A node's object is made only for a name whose password is known. */
function refusedNode(view: Cluster, state: State, name: string): Reply | undefined {
  const hash = textAt(objectAt(state.objects[passwordKey(name)] ?? {}, 'data'), 'hash') ?? '';
  const outcome: Outcome = registerNode(view, name, hash, false);
  return 'refused' in outcome ? refusal(422, 'Invalid', outcome.refused) : undefined;
}

function remove(
  state: State,
  target: Target,
  name: string,
  old: JsonObject,
  body: JsonObject,
  { ca, alive }: Surroundings,
): Decided {
  const key = keyOf(target, name);
  if (stale(old, objectAt(body, 'preconditions'))) {
    return { reply: refusal(409, 'Conflict', 'the object does not match the preconditions') };
  }
  const ok: Reply = {
    status: 200,
    body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' },
  };
  if (key === nodeKey(name)) {
    const view = viewOf(state, ca);
    const outcome = deleteNode(view, name, undefined, alive);
    if ('refused' in outcome) return { reply: refusal(500, 'InternalError', outcome.refused) };
    const lease = `coordination.k8s.io/leases/kube-node-lease/${name}`;
    const value = changesTo(state, view, outcome.cluster);
    return { reply: ok, value: { ...value, changes: [...value.changes, { key: lease, object: undefined }] } };
  }
  const change: Change = { key, object: undefined };
  const inside = Object.keys(state.objects).filter(
    (other) => key.startsWith('/namespaces//') && other.split('/')[2] === name,
  );
  const changes = [change, ...inside.map((other): Change => ({ key: other, object: undefined }))];
  return { reply: ok, value: { changes, ...policies(state, change) } };
}

/** Names the policies deny after a change: a policy counts once it is bound. Only this form of rule is understood. */
function policies(state: State, { key, object }: Change): Pick<Value, 'roll'> {
  if (!key.startsWith('admissionregistration.k8s.io/')) return {};
  const objects: Record<string, JsonObject | undefined> = { ...state.objects, [key]: object };
  const bound = new Set(
    Object.entries(objects).flatMap(([other, one]) =>
      other.includes('/validatingadmissionpolicybindings/') && one !== undefined
        ? [textAt(objectAt(one, 'spec'), 'policyName')]
        : [],
    ),
  );
  const denied = Object.entries(objects).flatMap(([other, one]) => {
    if (!other.includes('/validatingadmissionpolicies/') || !bound.has(other.split('/').at(-1))) return [];
    return [...JSON.stringify(one?.['spec'] ?? {}).matchAll(/system:node:([a-z0-9.-]+)/g)].map(
      ([, name = '']) => name,
    );
  });
  return { roll: { ...state.roll, denied: [...new Set(denied)] } };
}

function stale(old: JsonObject, wanted: JsonObject): boolean {
  const metadata = metadataOf(old);
  return ['uid', 'resourceVersion'].some((key) => {
    const value = textAt(wanted, key);
    return value !== undefined && value !== '' && value !== metadata[key];
  });
}

function generated(state: State, body: JsonObject): string {
  const prefix = textAt(metadataOf(body), 'generateName') ?? 'unnamed-';
  return `${prefix}${(state.revision + 1).toString(36).padStart(5, '0')}`;
}

function withMetadata(
  object: JsonObject,
  old: JsonObject | undefined,
  target: Target,
  name: string,
  now: number,
): JsonObject {
  const kept = metadataOf(old ?? {});
  const { uid: _uid, creationTimestamp: _made, resourceVersion: _version, ...given } = metadataOf(object);
  const made = kept['creationTimestamp'] ?? `${new Date(now).toISOString().slice(0, 19)}Z`;
  const metadata: Record<string, Json> = { ...given, name, creationTimestamp: made };
  if (target.namespace !== '') metadata['namespace'] = target.namespace;
  if (kept['uid'] !== undefined) metadata['uid'] = kept['uid'];
  const { kind } = target.resource;
  return { ...object, apiVersion: apiVersionOf(target.resource), kind, metadata };
}

/** RFC 7386. */
function mergePatch(old: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: Record<string, Json> = isObject(old) ? { ...old } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

const appliedBy = 'stand-in.edgekiln/applied-by-';

/** Server-side apply: sets what is given and takes away what the same manager gave before. Lists are replaced whole. */
function applied(old: JsonObject | undefined, given: JsonObject, manager: string): Json {
  const note = `${appliedBy}${manager}`;
  const before = textAt(objectAt(metadataOf(old ?? {}), 'annotations'), note);
  const without = before === undefined ? (old ?? {}) : subtract(old ?? {}, JSON.parse(before), given);
  const mark = { metadata: { annotations: { [note]: JSON.stringify(given) } } };
  return mergePatch(mergePatch(without, given), mark);
}

function subtract(object: Json, before: Json, given: Json | undefined): Json {
  if (!isObject(object) || !isObject(before)) return object;
  const result: Record<string, Json> = { ...object };
  for (const [key, value] of Object.entries(before)) {
    const still = isObject(given) ? given[key] : undefined;
    if (isObject(value)) result[key] = subtract(result[key] ?? {}, value, still);
    else if (still === undefined) delete result[key];
  }
  return result;
}
