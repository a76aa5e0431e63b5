// The state a founder begins with, and the requests of the stand-in's own processes.
import { randomBytes } from 'node:crypto';
import { tokensKey } from './access.ts';
import { decideWrite } from './api.ts';
import type { Bootstrap } from './authority.ts';
import { addLearner, annotateEtcdName, founded, registerNode } from './model.ts';
import type { Decide } from './requests.ts';
import {
  changesTo,
  emptyState,
  isUntied,
  type JsonObject,
  objectAt,
  passwordKey,
  type State,
  textAt,
  viewOf,
} from './state.ts';

/** What requests of this program's own do, and those of the API. */
export function decideRequest(
  state: State,
  request: JsonObject,
  now: number,
  ca: string,
  alive: (node: string | undefined) => boolean,
): ReturnType<Decide> {
  const kind = textAt(request, 'kind');
  const name = textAt(request, 'name') ?? '';
  if (kind === 'password') {
    const hash = textAt(request, 'hash') ?? '';
    const outcome = registerNode({ ...viewOf(state, ca), denied: [] }, name, hash, false);
    if ('refused' in outcome) return { reply: { status: 403 } };
    if (state.objects[passwordKey(name)] !== undefined) return { reply: { status: 200 } };
    const metadata = { name: `${name}.node-password.k3s`, namespace: 'kube-system' };
    const object = { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data: { hash } };
    return { reply: { status: 200 }, value: { changes: [{ key: passwordKey(name), object }] } };
  }
  if (kind === 'member') {
    const view = viewOf(state, ca);
    const outcome = addLearner(view, name, textAt(request, 'address') ?? '', alive);
    if ('refused' in outcome) return { reply: { refused: outcome.refused } };
    const id = outcome.cluster.members.at(-1)?.id ?? 0;
    return { reply: { id }, value: changesTo(state, view, outcome.cluster) };
  }
  if (kind === 'tie') {
    const member = state.roll.members.find((one) => one.node === name && one.voter);
    if (member === undefined || !isUntied(state, member)) return { reply: {} };
    const view = viewOf(state, ca);
    return { reply: {}, value: changesTo(state, view, annotateEtcdName(view, name)) };
  }
  return decideWrite(state, request, now, { ca, alive });
}

/** Where the cluster's CAs are kept; no path of the API names it. */
const bootstrapKey = '~/bootstrap//bootstrap';

/** One voter, the namespaces every cluster has, the digests of its tokens, and its CAs. */
export function foundedState(
  name: string,
  address: string,
  ca: string,
  tokens: { server: string; agent: string },
  bootstrap: Bootstrap,
) {
  const cluster = randomBytes(8).toString('hex');
  const state = emptyState(cluster);
  const view = founded(cluster, ca, name, address, '');
  const { roll } = changesTo(state, viewOf(state, ca), { ...view, nodes: [] });
  const members = (roll?.members ?? []).map((member) => ({ ...member, name: member.node }));
  state.roll = { members, removed: [], denied: [] };
  state.revision = 1;
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const put = (key: string, kind: string, rest: JsonObject): void => {
    const [, , namespace = '', called = ''] = key.split('/');
    const uid = `00000000-0000-4000-8000-${String(Object.keys(state.objects).length + 1).padStart(12, '0')}`;
    const place = namespace === '' ? {} : { namespace };
    const metadata = { name: called, ...place, uid, resourceVersion: '1', creationTimestamp: at };
    state.objects[key] = { apiVersion: 'v1', kind, metadata, ...rest };
  };
  for (const space of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
    put(`/namespaces//${space}`, 'Namespace', { status: { phase: 'Active' } });
  }
  put('/services/default/kubernetes', 'Service', { spec: { clusterIP: '10.43.0.1' } });
  put(tokensKey, 'Tokens', { data: tokens });
  put(bootstrapKey, 'Bootstrap', { data: bootstrap });
  return { identity: { cluster, member: view.members[0]?.id ?? 1 }, state };
}

/** The CAs that a store holds. */
export function bootstrapIn(state: State): Bootstrap {
  const kept = Object.entries(objectAt(state.objects[bootstrapKey] ?? {}, 'data'));
  return Object.fromEntries(kept.flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])));
}
