// A cluster's own view of itself, and what the chains expect of it.
import { join } from 'node:path';
import { z } from 'zod';
import { type NamespaceSite, until } from './site.ts';

const viewSchema = z.object({
  /** Names the certificate authority: another one is another cluster. */
  cluster: z.string(),
  nodes: z.array(z.object({ name: z.string(), uid: z.string(), ready: z.boolean() })),
  /** etcd's. */
  members: z.array(z.string()),
});

export interface ClusterView {
  readonly cluster: string;
  /** UIDs by name: a node that was lost and came again has another one. */
  readonly uids: Readonly<Record<string, string>>;
  readonly ready: readonly string[];
  readonly notReady: readonly string[];
  readonly servers: readonly string[];
}

const program = join(import.meta.dirname, 'view.mjs');

/** Hosts of any kind. `run` runs a shell line where their servers can be asked, and gives what it wrote. */
export type Hosts = Pick<NamespaceSite, 'run'>;

/** What a server's API and etcd say. Fails where it is none, or has no quorum. */
export async function viewOf(site: Hosts, server: string): Promise<ClusterView> {
  const text = await site.run(server, `node ${program}`);
  const { cluster, nodes, members } = viewSchema.parse(JSON.parse(text));
  const names = (ready: boolean) =>
    nodes
      .filter((node) => node.ready === ready)
      .map((node) => node.name)
      .sort();
  return {
    cluster,
    uids: Object.fromEntries(nodes.map(({ name, uid }) => [name, uid])),
    ready: names(true),
    notReady: names(false),
    // etcd's names are the nodes' with eight digits behind.
    servers: members.map((member) => member.replace(/-[0-9a-f]{8}$/, '')).sort(),
  };
}

export interface Wanted {
  /** Names of the nodes that are ready. */
  readonly ready: readonly string[];
  readonly notReady?: readonly string[];
  /** Names, or how many. */
  readonly servers: readonly string[] | number;
}

/** Waits until every asked server shows the wanted cluster, the same one; gives the first one's view. */
export async function untilCluster(
  site: Hosts,
  asked: readonly string[],
  wanted: Wanted,
  seconds: number,
): Promise<ClusterView> {
  const same = (a: readonly string[], b: readonly string[]) => a.join() === [...b].sort().join();
  const views = await until(
    `a cluster of ${wanted.ready.join(', ')}`,
    seconds,
    () => Promise.all(asked.map((name) => viewOf(site, name))),
    (seen) =>
      seen.every(
        ({ cluster, ready, notReady, servers }) =>
          cluster === seen[0]?.cluster &&
          same(ready, wanted.ready) &&
          same(notReady, wanted.notReady ?? []) &&
          (typeof wanted.servers === 'number'
            ? servers.length === wanted.servers
            : same(servers, wanted.servers)),
      ),
  );
  const [view] = views;
  if (view === undefined) throw new Error('nobody was asked');
  return view;
}

/** The host that shows a cluster first: the founder, of hosts that were just powered on. */
export async function firstServer(site: Hosts, names: readonly string[]): Promise<string> {
  const seen = await until(
    'a server',
    180,
    async () => {
      const views = await Promise.allSettled(names.map((name) => viewOf(site, name)));
      return names.filter((_, index) => views[index]?.status === 'fulfilled');
    },
    (servers) => servers.length > 0,
  );
  return seen[0] ?? '';
}
