// What this device answers on the channel about its cluster.

import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Place } from '../../formats/roster.ts';
import type { Neighbourhood } from '../formation/cluster.ts';
import type { Answers } from '../join/server.ts';
import { Refused } from '../join/words.ts';
import { returned } from '../protocol/journal.ts';
import type { Member } from '../protocol/site.ts';
import type { ClusterId } from '../protocol/terms.ts';
import { JournalStore } from './journal.ts';
import type { K3sPaths } from './paths.ts';
import type { Serving } from './serving.ts';
import { readStore, type Store } from './store.ts';
import { agentToken } from './token.ts';

export interface AnswersFacts {
  readonly paths: K3sPaths;
  readonly neighbourhood: Neighbourhood;
  readonly serving: Serving;
  /** k3s works here as a server, as far as was seen last. */
  readonly serves: () => boolean;
  /** The reconciler of another server names this device: it shall fetch its promotion from there. */
  readonly promoted: (by: Place, operation: number) => void;
  /** Why this device cannot become a server now; undefined when it can. */
  readonly unfit: () => Promise<string | undefined>;
}

export type ClusterAnswers = Pick<Answers, 'admission' | 'standing' | 'fitness' | 'promote' | 'promotion'>;

export function clusterAnswers(facts: AnswersFacts): ClusterAnswers {
  const { paths, neighbourhood, serving } = facts;

  const mine = async (cluster: ClusterId): Promise<Store> => {
    const store = await readStore(paths);
    if (store?.identity.cluster !== cluster) throw new Refused('this device is not of that cluster');
    return store;
  };
  const served = async (cluster: ClusterId): Promise<Store> => {
    const store = await mine(cluster);
    if (store.role === 'agent' || !facts.serves()) throw new Refused('this device is no server that works');
    return store;
  };

  return {
    async admission(asker, { cluster, rejected, removed }) {
      const { identity } = await served(cluster);
      await makeRoomFor(serving, neighbourhood.siteAddressOf(asker.place), asker, rejected);
      if (removed) await new JournalStore(serving).change((journal) => returned(journal, asker.place));
      return {
        ca: identity.ca,
        token: await agentToken(await serving.api(), identity.ca, asker.name),
        servers: await serverUrls(serving, neighbourhood),
      };
    },

    async standing(asker, { cluster }) {
      await served(cluster);
      const address = neighbourhood.siteAddressOf(asker.place);
      const member = (await serving.members()).some((one) => one.address === address);
      if (member) return { standing: 'server' };
      return { standing: (await serving.node(asker.name)) === undefined ? 'none' : 'agent' };
    },

    async fitness(asker, { cluster }) {
      await mine(cluster);
      const address = neighbourhood.siteAddressOf(asker.place);
      const why = (await facts.unfit()) ?? (await unreachable(address, [6443, 2380]));
      return { fit: why === undefined, why: why ?? '' };
    },

    async promote(asker, { cluster, operation }) {
      // A stolen worker would stop the k3s of others.
      if (!asker.eligible) throw new Refused('this is said by servers, and your place is never one');
      const { role } = await mine(cluster);
      if (role !== 'agent') return { doing: 'is a server already' };
      facts.promoted(asker.place, operation);
      return { doing: 'fetches what it needs' };
    },

    /** The candidate's own word comes first into the journal: who decides without knowing finds a conflict. */
    async promotion(asker, { cluster, operation }) {
      const store = await served(cluster);
      await new JournalStore(serving).starting(operation, asker.place);
      return {
        ca: store.identity.ca,
        serverToken: `K10${store.identity.ca}::server:${await serving.token()}`,
        agentToken: (await readFile(paths.agentToken, 'utf8')).trim(),
        servers: await serverUrls(serving, neighbourhood),
        critical: store.critical,
      };
    },
  };
}

/**
 * A device asks to be an agent and has no server's store: what the cluster still has of a former life of it goes
 * first, the etcd member with it. A node whose password it no longer has goes too.
 */
async function makeRoomFor(
  serving: Serving,
  address: string,
  asker: Member,
  rejected: boolean,
): Promise<void> {
  const node = await serving.node(asker.name);
  const member = (await serving.members()).find((one) => one.address === address);
  if (node === undefined) {
    if (member !== undefined) throw new Refused('a member of etcd without a node has its address');
    return;
  }
  if (member !== undefined && node.etcdName !== member.name) {
    await serving.removeMember(node, member);
    throw new Refused('its former member of etcd is being removed');
  }
  if (member !== undefined || (rejected && !node.ready)) await serving.deleteNode(node);
}

/** This server first. */
async function serverUrls(serving: Serving, neighbourhood: Neighbourhood): Promise<string[]> {
  const own = neighbourhood.siteAddressOf(neighbourhood.place);
  const voters = (await serving.members()).filter(({ voter }) => voter).map(({ address }) => address);
  return [...new Set([own, ...voters])].map(serverUrl);
}

/** Where k3s serves on a device with this address. */
export function serverUrl(address: string): string {
  return `https://${address}:6443`;
}

async function unreachable(address: string, ports: readonly number[]): Promise<string | undefined> {
  for (const port of ports) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: address, port, timeout: 3000 });
      const end = (result: boolean) => () => {
        socket.destroy();
        resolve(result);
      };
      socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
    });
    if (!open) return `it does not reach port ${port} of ${address}`;
  }
  return undefined;
}
