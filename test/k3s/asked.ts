// What a host of the contract's tests is asked: its supervisor, its datastore and its API.
import { type Ended, type Host, until } from './hosts.ts';

export const [serverToken, agentToken] = ['a-server-token', 'an-agent-token'] as const;
export const url = (host: Host, path: string) => `https://${host.address}:6443${path}`;
export const login = (user: 'server' | 'node', password: string) => ['-u', `${user}:${password}`];

export interface Member {
  readonly name?: string;
  readonly isLearner?: boolean;
  readonly peerURLs: readonly string[];
}
interface NodeObject {
  readonly metadata: { readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

/** Fails where the datastore does not answer: that is not the same as having no members. */
export function membersAt(at: Host): readonly Member[] {
  const info = at.ask(url(at, '/db/info'), ...login('server', serverToken));
  if (info.status !== 200) throw new Error(`/db/info of ${at.name}: ${info.status}`);
  return JSON.parse(info.body).members;
}
export const votersAt = (at: Host): number =>
  membersAt(at).filter((member) => member.isLearner !== true && member.name !== undefined).length;
/** Names of the nodes that etcd has as members. */
export const namesAt = (at: Host): string[] =>
  membersAt(at)
    .map((member) => member.name?.split('-')[0] ?? '')
    .sort();
export function nodeAt(at: Host, name: string): NodeObject {
  const got = at.api('GET', `/api/v1/nodes/${name}`);
  if (got.status !== 200) throw new Error(`node ${name} at ${at.name}: ${got.status}`);
  return JSON.parse(got.body);
}
/** What a request is answered, asked again while nobody does, or an election goes on. */
export const answered = (ask: () => Ended): Promise<Ended> =>
  until('an answer', () => {
    const answer = ask();
    return answer.status > 0 && answer.status < 500 && answer;
  });
/** The status of a write. One whose answer was lost is made again, and then finds that it is done. */
export async function written(at: Host, ...asked: Parameters<Host['api']>): Promise<number> {
  let times = 0;
  const { status } = await answered(() => {
    times += 1;
    return at.api(...asked);
  });
  if (times > 1 && asked[0] === 'DELETE' && status === 404) return 200;
  if (times > 1 && asked[0] === 'POST' && status === 409) return 201;
  return status;
}
export const isReady = (at: Host, name: string): boolean =>
  nodeAt(at, name).status.conditions.some((one) => one.type === 'Ready' && one.status === 'True') === true;
export const serves = (at: Host): boolean => at.api('GET', '/readyz').status === 200;
