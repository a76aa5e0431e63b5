// What this device does with the API of its own server: is it ready, who is there, tokens for others.
import { readFile } from 'node:fs/promises';
import { isRecord } from '../../formats/json.ts';
import { Api, ApiError, type EtcdMember } from './api.ts';
import type { K3sPaths } from './paths.ts';

/** A node of the cluster as its own server has it. */
export interface ClusterNode {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly address: string;
  readonly ready: boolean;
  /** It carries a server's label, or an etcd annotation. */
  readonly labelled: boolean;
  /** The etcd member that goes when the node is deleted; undefined where nothing ties them. */
  readonly etcdName: string | undefined;
}

export class Serving {
  readonly #paths: K3sPaths;
  #api: Api | undefined;

  constructor(paths: K3sPaths) {
    this.#paths = paths;
  }

  async api(): Promise<Api> {
    this.#api ??= await Api.open(this.#paths.adminConfig);
    return this.#api;
  }

  /** k3s was started anew: its certificates may be others. */
  forget(): void {
    this.#api?.close();
    this.#api = undefined;
  }

  async members(): Promise<readonly EtcdMember[]> {
    return (await this.api()).members(await this.token());
  }

  /** The secret part of the server token. */
  async token(): Promise<string> {
    const text = (await readFile(this.#paths.serverToken, 'utf8')).trim();
    return text.replace(/^K10[0-9a-f]{64}::server:/, '');
  }

  /** The API answers and etcd has this server as a voter; fails where not even that can be told. */
  async ready(address: string): Promise<boolean> {
    const { status } = await (await this.api()).ask('GET', '/readyz');
    if (status !== 200) return false;
    return (await this.members()).some((member) => member.address === address && member.voter);
  }

  async nodes(): Promise<readonly ClusterNode[]> {
    return (await (await this.api()).list('/api/v1/nodes')).map(nodeOf);
  }

  async node(name: string): Promise<ClusterNode | undefined> {
    const path = `/api/v1/nodes/${name}`;
    const answer = await (await this.api()).ask('GET', path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200 || !isRecord(answer.body)) throw new ApiError(`GET ${path}`, answer);
    return nodeOf(answer.body);
  }

  /** Deletes a node, and with it its password and etcd member, if it is still the one that was seen. */
  async deleteNode({
    name,
    uid,
    resourceVersion,
  }: Pick<ClusterNode, 'name' | 'uid' | 'resourceVersion'>): Promise<void> {
    const preconditions = { uid, resourceVersion };
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
    await (await this.api()).object('DELETE', `/api/v1/nodes/${name}`, body);
  }

  /** A node of this name that nobody runs, as k3s wants one to take a member away by. */
  async makeNode(name: string): Promise<ClusterNode> {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name } };
    return nodeOf(await (await this.api()).object('POST', '/api/v1/nodes', node));
  }

  /**
   * Ties a member that nothing removes to a node of its name and has it removed: k3s takes a member away only by its
   * node. The member goes within seconds.
   */
  async removeMember(node: ClusterNode, member: EtcdMember): Promise<void> {
    const prefix = 'etcd.k3s.cattle.io';
    await (await this.api()).object(
      'PATCH',
      `/api/v1/nodes/${node.name}`,
      {
        metadata: {
          uid: node.uid,
          resourceVersion: node.resourceVersion,
          labels: { 'node-role.kubernetes.io/etcd': 'true' },
          annotations: {
            [`${prefix}/node-name`]: member.name,
            [`${prefix}/node-address`]: member.address,
            [`${prefix}/remove`]: 'true',
          },
        },
      },
      'application/merge-patch+json',
    );
  }
}

export function nodeOf(object: Readonly<Record<string, unknown>>): ClusterNode {
  const metadata = record(object['metadata']);
  const labels = record(metadata['labels']);
  const annotations = record(metadata['annotations']);
  const status = record(object['status']);
  const etcdName = annotations['etcd.k3s.cattle.io/node-name'];
  const addresses = list(status['addresses']);
  const address = addresses.find((one) => one['type'] === 'InternalIP')?.['address'];
  const ready = list(status['conditions']).find((one) => one['type'] === 'Ready')?.['status'] === 'True';
  return {
    name: String(metadata['name']),
    uid: String(metadata['uid']),
    resourceVersion: String(metadata['resourceVersion']),
    address: typeof address === 'string' ? address : '',
    ready,
    labelled:
      labels['node-role.kubernetes.io/etcd'] === 'true' ||
      labels['node-role.kubernetes.io/control-plane'] === 'true',
    etcdName: typeof etcdName === 'string' && etcdName !== '' ? etcdName : undefined,
  };
}

const record = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});
const list = (value: unknown) => (Array.isArray(value) ? value.filter(isRecord) : []);
