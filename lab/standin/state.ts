// What the log adds up to: objects of the API and the members of etcd. And the model's picture of it, which decides.
import type { Cluster, EtcdMember, NodeObject } from './model.ts';

/** JSON as the API speaks it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Member extends EtcdMember {
  /** The node the member belongs to; `name` (as the model has it) is undefined until its process started. */
  readonly node: string;
  /** `<node>-<8 hex>`, as etcd lists it. */
  readonly etcdName: string;
}

export interface Roll {
  readonly members: readonly Member[];
  readonly removed: readonly number[];
  readonly denied: readonly string[];
}

export interface Change {
  readonly key: string;
  /** Undefined: deleted. Its resource version is the index of the entry. */
  readonly object: JsonObject | undefined;
}

export interface Value {
  readonly changes: readonly Change[];
  readonly roll?: Roll;
}

export interface State {
  cluster: string;
  revision: number;
  objects: Record<string, JsonObject>;
  roll: Roll;
}

export function emptyState(cluster: string): State {
  return { cluster, revision: 0, objects: {}, roll: { members: [], removed: [], denied: [] } };
}

export function metadataOf(object: JsonObject): JsonObject {
  return objectAt(object, 'metadata');
}

export function objectAt(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isObject(value) ? value : {};
}

export function textAt(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' ? value : undefined;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stamped(object: JsonObject, index: number): JsonObject {
  return { ...object, metadata: { ...metadataOf(object), resourceVersion: String(index) } };
}

/** UIDs carry the revision that created them: the model's numbers and the API's names of them are one. */
function uidOf(index: number, salt: number): string {
  const low = (index * 4096 + salt).toString(16).padStart(12, '0');
  return `00000000-0000-4000-8000-${low}`;
}

export interface Happening {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly key: string;
  readonly object: JsonObject;
  readonly revision: number;
}

/** Applies an entry; gives back what happened to which object. */
export function apply(state: State, index: number, value: Value): readonly Happening[] {
  state.revision = index;
  if (value.roll !== undefined) state.roll = value.roll;
  return value.changes.flatMap(({ key, object }, nth): readonly Happening[] => {
    const old = state.objects[key];
    if (object === undefined) {
      delete state.objects[key];
      return old === undefined
        ? []
        : [{ type: 'DELETED', key, object: stamped(old, index), revision: index }];
    }
    const uid = textAt(metadataOf(object), 'uid') ?? uidOf(index, nth + 1);
    const next = stamped({ ...object, metadata: { ...metadataOf(object), uid } }, index);
    state.objects[key] = next;
    return [{ type: old === undefined ? 'ADDED' : 'MODIFIED', key, object: next, revision: index }];
  });
}

export const nodeKey = (name: string): string => `/nodes//${name}`;
export const passwordKey = (name: string): string => `/secrets/kube-system/${name}.node-password.k3s`;
const etcdName = 'etcd.k3s.cattle.io/node-name';
const etcdAddress = 'etcd.k3s.cattle.io/node-address';

/** A member's node is there, names another member or none, and nobody asked to have the member removed. */
export function isUntied(state: State, { node, etcdName: own }: Member): boolean {
  const object = state.objects[nodeKey(node)];
  if (object === undefined) return false;
  const annotations = objectAt(metadataOf(object), 'annotations');
  return textAt(annotations, etcdName) !== own && annotations['etcd.k3s.cattle.io/remove'] !== 'true';
}

/** The cluster as the model sees it. */
export function viewOf(state: State, ca: string): Cluster {
  const names = Object.keys(state.objects).flatMap((key) => /^\/nodes\/\/(.+)$/.exec(key)?.[1] ?? []);
  const secrets = Object.keys(state.objects).flatMap(
    (key) => /^\/secrets\/kube-system\/(.+)\.node-password\.k3s$/.exec(key)?.[1] ?? [],
  );
  const nodes = [...new Set([...names, ...secrets])].map((name): NodeObject => {
    const metadata = metadataOf(state.objects[nodeKey(name)] ?? {});
    const annotations = objectAt(metadata, 'annotations');
    const tied = textAt(annotations, etcdName);
    const member = state.roll.members.find((one) => one.etcdName === tied);
    return {
      name,
      uid: Number.parseInt((textAt(metadata, 'uid') ?? '').slice(-12), 16) || 0,
      resourceVersion: Number(textAt(metadata, 'resourceVersion') ?? 0),
      password: textAt(objectAt(state.objects[passwordKey(name)] ?? {}, 'data'), 'hash') ?? '',
      server: objectAt(metadata, 'labels')['node-role.kubernetes.io/etcd'] === 'true',
      etcdName: member?.node ?? undefined,
    };
  });
  const members = state.roll.members.map(({ id, node, address, voter }) => ({
    id,
    name: node,
    address,
    voter,
  }));
  return {
    id: state.cluster,
    ca,
    members,
    removed: state.roll.removed,
    nodes,
    denied: state.roll.denied,
    counter: state.revision * 4096,
  };
}

/** The entry that makes a state what the model decided: members, nodes that are gone, annotations that came or went. */
export function changesTo(state: State, before: Cluster, after: Cluster): Value {
  const members = after.members.map((member): Member => {
    const known = state.roll.members.find((one) => one.id === member.id);
    const node = member.name ?? '';
    const suffix = (member.id * 2654435761).toString(16).padStart(8, '0').slice(-8);
    return known === undefined
      ? { ...member, name: undefined, node, etcdName: `${node}-${suffix}` }
      : { ...known, voter: member.voter };
  });
  const gone = before.nodes.filter((node) => !after.nodes.some((other) => other.name === node.name));
  const changes: Change[] = gone.flatMap(({ name }) => [
    { key: nodeKey(name), object: undefined },
    ...(state.objects[passwordKey(name)] === undefined
      ? []
      : [{ key: passwordKey(name), object: undefined }]),
  ]);
  for (const node of after.nodes) {
    const object = state.objects[nodeKey(node.name)];
    const old = before.nodes.find((other) => other.name === node.name);
    if (object === undefined || old?.etcdName === node.etcdName) continue;
    const member = members.find((one) => one.node === node.etcdName);
    changes.push({ key: nodeKey(node.name), object: tie(object, member) });
  }
  return { changes, roll: { members, removed: after.removed, denied: after.denied } };
}

/** Labels and annotations that make a node a server's, or take its member from it. */
function tie(object: JsonObject, member: Member | undefined): JsonObject {
  const metadata = metadataOf(object);
  const old = objectAt(metadata, 'annotations');
  if (member === undefined) {
    const { [etcdName]: removed = '', [etcdAddress]: _address, ...rest } = old;
    const annotations = { ...rest, 'etcd.k3s.cattle.io/removed-node-name': removed };
    return { ...object, metadata: { ...metadata, annotations } };
  }
  const labels = {
    ...objectAt(metadata, 'labels'),
    'node-role.kubernetes.io/control-plane': 'true',
    'node-role.kubernetes.io/etcd': 'true',
  };
  const annotations = { ...old, [etcdName]: member.etcdName, [etcdAddress]: member.address };
  return { ...object, metadata: { ...metadata, labels, annotations } };
}
