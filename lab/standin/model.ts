// k3s as it was measured: what a server does with the disk it finds, whom etcd admits, what removal leaves behind.
// Pure data and functions. The simulator and the stand-in both run on it; neither has rules of its own.

/** Milliseconds, measured with k3s v1.36.3 on two shared cores. The order is the fact, the figures are orientation. */
export const measured = {
  /** From start to `/ping`, to `/v1-k3s/readyz`, to the server's own node Ready. */
  ping: 1_100,
  ready: 7_900,
  nodeReady: 8_700,
  /** An agent from start to Ready beside a server that works. */
  agentReady: 5_000,
  /** A promoted agent until it is a learner, and a voter at the earliest and the latest. */
  learner: 2_300,
  voter: 4_500,
  voterLatest: 8_000,
  /** `EtcdIsVoter=True` lags behind `/db/info`. */
  voterCondition: 23_000,
  /** A learner that makes no progress is evicted. */
  learnerEvicted: 300_000,
  /** A waiting joiner once the dead member's node was deleted. */
  learnerAfterDelete: 400,
  /** A server process without quorum exits within this. */
  exitWithoutQuorum: 20_000,
  /** API after a restart once quorum is there again. */
  apiAfterQuorum: 9_000,
  /** Pause of the unit before it starts the process again. */
  restart: 5_000,
} as const;

/** What k3s finds under its data directory. */
export interface Disk {
  /** `server/db/etcd/member/wal`. */
  readonly wal: { readonly cluster: string; readonly member: number } | undefined;
  /** `server/tls`: the CA that a new store would be founded with. */
  readonly ca: string | undefined;
  /** Cluster that `agent/` belongs to. */
  readonly agentOf: string | undefined;
}

export const emptyDisk: Disk = { wal: undefined, ca: undefined, agentOf: undefined };

/** The settings that decide how a server starts. */
export interface Settings {
  readonly clusterInit: boolean;
  /** Cluster that `server:` leads to. */
  readonly server: string | undefined;
  readonly token: boolean;
}

export type Beginning =
  /** With a WAL, `cluster-init` and `server` are ignored. */
  | { readonly kind: 'resume'; readonly cluster: string; readonly member: number }
  | { readonly kind: 'new'; readonly store: 'etcd' | 'sqlite'; readonly ca: string | undefined }
  | { readonly kind: 'join'; readonly cluster: string };

/** How a server starts. The traps are k3s's: a stale WAL revives, `server` without token founds, so does `cluster-init`. */
export function beginningOf(disk: Disk, settings: Settings): Beginning {
  if (disk.wal !== undefined) return { kind: 'resume', ...disk.wal };
  if (settings.clusterInit) return { kind: 'new', store: 'etcd', ca: disk.ca };
  if (settings.server !== undefined && settings.token) return { kind: 'join', cluster: settings.server };
  return { kind: 'new', store: 'sqlite', ca: disk.ca };
}

export interface EtcdMember {
  readonly id: number;
  /** Node name; undefined between MemberAdd and the member's first start. */
  readonly name: string | undefined;
  readonly address: string;
  readonly voter: boolean;
}

export interface NodeObject {
  readonly name: string;
  readonly uid: number;
  readonly resourceVersion: number;
  /** SHA-256 of the node password that `kube-system/<node>.node-password.k3s` keeps. */
  readonly password: string;
  readonly server: boolean;
  /** Annotation `etcd.k3s.cattle.io/node-name`: what ties the node to its etcd member. */
  readonly etcdName: string | undefined;
}

export interface Cluster {
  readonly id: string;
  readonly ca: string;
  readonly members: readonly EtcdMember[];
  /** Ids of members that were removed: they never come back. */
  readonly removed: readonly number[];
  readonly nodes: readonly NodeObject[];
  /** Names that the admission policy denies. */
  readonly denied: readonly string[];
  /** Source of uids, member ids and resource versions. */
  readonly counter: number;
}

export type Outcome = { readonly cluster: Cluster } | { readonly refused: string };

/** A cluster as its founder makes it: one voter. */
export function founded(id: string, ca: string, name: string, address: string, password: string): Cluster {
  const member: EtcdMember = { id: 1, name, address, voter: true };
  const node: NodeObject = { name, uid: 2, resourceVersion: 3, password, server: true, etcdName: name };
  return { id, ca, members: [member], removed: [], nodes: [node], denied: [], counter: 3 };
}

export function votersOf(cluster: Cluster): readonly EtcdMember[] {
  return cluster.members.filter((member) => member.voter);
}

/** Whether the voters that `alive` names are a majority of all voters. */
export function hasQuorum(cluster: Cluster, alive: (name: string | undefined) => boolean): boolean {
  const voters = votersOf(cluster);
  return voters.filter((voter) => alive(voter.name)).length > voters.length / 2;
}

/** A node registers: as agent, or as the node of a server. */
export function registerNode(cluster: Cluster, name: string, password: string, server: boolean): Outcome {
  if (cluster.denied.includes(name)) return { refused: 'denied by admission policy' };
  const known = cluster.nodes.find((node) => node.name === name);
  if (known !== undefined && known.password !== password) return { refused: 'Node password rejected' };
  const counter = cluster.counter + 2;
  const node: NodeObject =
    known === undefined
      ? { name, uid: counter - 1, resourceVersion: counter, password, server, etcdName: undefined }
      : { ...known, server, resourceVersion: counter };
  return { cluster: { ...cluster, counter, nodes: [...cluster.nodes.filter((n) => n.name !== name), node] } };
}

/** MemberAddAsLearner. All voters must be up, one learner at a time, and no member may have the name already. */
export function addLearner(
  cluster: Cluster,
  name: string,
  address: string,
  alive: (name: string | undefined) => boolean,
): Outcome {
  if (!hasQuorum(cluster, alive)) return { refused: 'etcdserver: no leader' };
  if (cluster.members.some((member) => member.name === name)) return { refused: 'duplicate node name found' };
  if (!votersOf(cluster).every((voter) => alive(voter.name)))
    return { refused: 'etcdserver: unhealthy cluster' };
  if (cluster.members.some((member) => !member.voter))
    return { refused: 'too many learner members in cluster' };
  const id = cluster.counter + 1;
  const member: EtcdMember = { id, name, address, voter: false };
  return { cluster: { ...cluster, counter: id, members: [...cluster.members, member] } };
}

/** The learner caught up. Its node has its etcd annotations from here on. */
export function promoteLearner(cluster: Cluster, name: string): Cluster {
  const members = cluster.members.map((member) =>
    member.name === name ? { ...member, voter: true } : member,
  );
  return annotateEtcdName({ ...cluster, members }, name);
}

/** Ties a node to the member of its name, as k3s does when the member started, or a person to remove an orphan. */
export function annotateEtcdName(cluster: Cluster, name: string): Cluster {
  const counter = cluster.counter + 1;
  const nodes = cluster.nodes.map((node) =>
    node.name === name ? { ...node, server: true, etcdName: name, resourceVersion: counter } : node,
  );
  return { ...cluster, counter, nodes };
}

/** What a delete must still find; the API refuses with a conflict otherwise. */
export interface Precondition {
  readonly uid: number;
  readonly resourceVersion?: number;
}

/**
 * Deletes a Node: its password secret goes with it, and its etcd member too if the node carries the annotations.
 * Without them the member stays: an orphan voter. Needs quorum.
 */
export function deleteNode(
  cluster: Cluster,
  name: string,
  precondition: Precondition | undefined,
  alive: (name: string | undefined) => boolean,
): Outcome {
  if (!hasQuorum(cluster, alive)) return { refused: 'etcdserver: request timed out' };
  const node = cluster.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) return { refused: 'not found' };
  if (precondition !== undefined) {
    const { uid, resourceVersion } = precondition;
    const changed = resourceVersion !== undefined && resourceVersion !== node.resourceVersion;
    if (uid !== node.uid || changed) return { refused: 'conflict' };
  }
  const gone = cluster.members.filter(
    (member) => node.etcdName !== undefined && member.name === node.etcdName,
  );
  return {
    cluster: {
      ...cluster,
      counter: cluster.counter + 1,
      nodes: cluster.nodes.filter((other) => other !== node),
      members: cluster.members.filter((member) => !gone.includes(member)),
      removed: [...cluster.removed, ...gone.map((member) => member.id)],
    },
  };
}

/**
 * Removes the member a node is annotated with and leaves the node (`etcd.k3s.cattle.io/remove=true`); the way to be
 * rid of an orphan voter.
 */
export function removeMember(
  cluster: Cluster,
  name: string,
  alive: (name: string | undefined) => boolean,
): Outcome {
  if (!hasQuorum(cluster, alive)) return { refused: 'etcdserver: request timed out' };
  const node = cluster.nodes.find((candidate) => candidate.name === name);
  if (node?.etcdName === undefined) return { refused: 'node has no etcd annotations' };
  const gone = cluster.members.filter((member) => member.name === node.etcdName);
  const nodes = cluster.nodes.map((other) => (other === node ? { ...other, etcdName: undefined } : other));
  return {
    cluster: {
      ...cluster,
      counter: cluster.counter + 1,
      nodes,
      members: cluster.members.filter((member) => !gone.includes(member)),
      removed: [...cluster.removed, ...gone.map((member) => member.id)],
    },
  };
}

/** What becomes of a server process that finds its WAL. */
export type Resumed = 'serves' | 'waits for quorum' | 'hangs: permanently removed';

export function resume(
  cluster: Cluster,
  member: number,
  alive: (name: string | undefined) => boolean,
): Resumed {
  if (cluster.removed.includes(member)) return 'hangs: permanently removed';
  return hasQuorum(cluster, alive) ? 'serves' : 'waits for quorum';
}
