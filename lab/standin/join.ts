// How a server joins: it takes the cluster's CAs with the server token, then asks etcd's members to be a learner.
import { Failure } from '../../formats/errors.ts';
import { type Authorities, writeBootstrap } from './authority.ts';
import { ask } from './client.ts';
import { authorityOf } from './kubeconfig.ts';
import { authorizationOf, say } from './node.ts';
import { paced, pause } from './pace.ts';
import type { Admission } from './requests.ts';
import type { Wire } from './wire.ts';

/** Takes the CAs of the cluster that is joined; the server token opens them. */
export async function takeBootstrap(tls: string, server: string, token: string): Promise<void> {
  const ca = await authorityOf(server, token);
  const authorization = authorizationOf(token, 'server');
  for (;;) {
    const got = await ask(`${server}/v1-k3s/server-bootstrap`, { ca, authorization });
    if (got.status === 200) return writeBootstrap(tls, JSON.parse(got.text));
    if (got.status !== 503) {
      throw new Failure('environment', {
        what: `failed to get CA certs: ${server}/v1-k3s/server-bootstrap: ${got.status}`,
        why: 'the token is not the server token',
      });
    }
    await pause(1_000);
  }
}

/** Asks to be a learner until it is one, however long that takes. */
export async function addMember(
  wire: Wire,
  server: string,
  token: string,
  authorities: Authorities,
  node: string,
  address: string,
) {
  const authorization = authorizationOf(token, 'server');
  say('Skipping cluster configuration validation: not authorized');
  for (;;) {
    try {
      const ca = authorities['server-ca'].certificate;
      const info = await ask(`${server}/db/info`, { ca, authorization });
      if (info.status !== 200) throw new Error(`/db/info: ${info.status}`);
      const members: readonly { peerURLs: readonly string[] }[] = JSON.parse(info.text).members;
      const peers = members.map((member) => new URL(member.peerURLs[0] ?? '').hostname);
      const admitted = await admittedBy(
        wire,
        peers.filter((peer) => peer !== address),
        node,
        address,
      );
      if ('identity' in admitted) return admitted;
      if (/duplicate node name/.test(admitted.refused)) {
        throw new Failure('environment', { what: admitted.refused });
      }
      throw new Error(admitted.refused);
    } catch (error) {
      if (error instanceof Failure) throw error;
      const message = error instanceof Error ? error.message : String(error);
      say(`Failed to join etcd: ${message}`);
      await pause(Math.max(200, paced('learnerAfterDelete')));
    }
  }
}

/** The answer of the first member that has one. */
async function admittedBy(
  wire: Wire,
  peers: readonly string[],
  node: string,
  address: string,
): Promise<Admission> {
  let last: unknown = new Error('no member answers');
  for (const peer of peers) {
    try {
      return (await wire.ask(peer, { member: { node, address } })) as Admission;
    } catch (error) {
      last = error;
    }
  }
  throw last;
}
