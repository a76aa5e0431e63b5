import { describe, expect, it } from 'vitest';
import {
  addLearner,
  annotateEtcdName,
  beginningOf,
  type Cluster,
  deleteNode,
  emptyDisk,
  founded,
  type Outcome,
  promoteLearner,
  registerNode,
  removeMember,
  resume,
} from './model.ts';

const all = () => true;
const except = (dead: string) => (name: string | undefined) => name !== dead;
function done(outcome: Outcome): Cluster {
  if ('refused' in outcome) throw new Error(outcome.refused);
  return outcome.cluster;
}
function withServer(cluster: Cluster, name: string): Cluster {
  const registered = done(registerNode(cluster, name, `pw-${name}`, true));
  return promoteLearner(done(addLearner(registered, name, '198.18.0.9', all)), name);
}
const one = founded('c1', 'ca1', 'a', '198.18.0.1', 'pw-a');
const three = withServer(withServer(one, 'b'), 'c');

describe('how a server starts', () => {
  const settings = { clusterInit: false, server: undefined, token: false };
  it('a WAL wins over everything', () => {
    const disk = { ...emptyDisk, wal: { cluster: 'old', member: 1 } };
    expect(beginningOf(disk, { clusterInit: true, server: 'new', token: true }).kind).toBe('resume');
  });
  it('`server` without a token founds a cluster of its own, with sqlite', () => {
    expect(beginningOf(emptyDisk, { ...settings, server: 'c1' })).toMatchObject({
      kind: 'new',
      store: 'sqlite',
    });
    expect(beginningOf(emptyDisk, { ...settings, server: 'c1', token: true }).kind).toBe('join');
  });
  it('`cluster-init` left behind founds a second cluster with the same CA', () => {
    const disk = { ...emptyDisk, ca: 'ca1' };
    expect(beginningOf(disk, { ...settings, clusterInit: true })).toEqual({
      kind: 'new',
      store: 'etcd',
      ca: 'ca1',
    });
  });
});

describe('etcd', () => {
  it('refuses a member while one of three is down, and admits it after the dead node was deleted', () => {
    const dead = except('b');
    const joining = done(registerNode(three, 'd', 'pw-d', true));
    expect(addLearner(joining, 'd', 'x', dead)).toEqual({ refused: 'etcdserver: unhealthy cluster' });
    const without = done(deleteNode(joining, 'b', undefined, dead));
    expect(without.members.map((member) => member.name)).toEqual(['a', 'c']);
    expect(addLearner(without, 'd', 'x', dead)).toHaveProperty('cluster');
  });
  it('takes one learner at a time', () => {
    const learner = done(addLearner(one, 'b', 'x', all));
    expect(addLearner(learner, 'c', 'x', all)).toEqual({ refused: 'too many learner members in cluster' });
  });
  it('keeps an orphan voter when a node without annotations is deleted, until it is annotated', () => {
    const added = done(addLearner(done(registerNode(one, 'b', 'pw-b', true)), 'b', 'x', all));
    const orphaned = done(deleteNode(added, 'b', undefined, all));
    expect(orphaned.members.map((member) => member.name)).toEqual(['a', 'b']);
    expect(addLearner(orphaned, 'b', 'x', all)).toEqual({ refused: 'duplicate node name found' });
    const back = annotateEtcdName(done(registerNode(orphaned, 'b', 'pw-b', true)), 'b');
    expect(done(removeMember(back, 'b', all)).members.map((member) => member.name)).toEqual(['a']);
  });
  it('hangs a server that was removed and comes back', () => {
    const member = three.members[1]?.id ?? 0;
    const without = done(deleteNode(three, 'b', undefined, all));
    expect(resume(without, member, all)).toBe('hangs: permanently removed');
    expect(resume(three, member, all)).toBe('serves');
    expect(resume(three, member, (name) => name === 'b')).toBe('waits for quorum');
  });
});

describe('nodes', () => {
  it('reject a re-flashed device until its node is deleted', () => {
    expect(registerNode(three, 'b', 'new', false)).toEqual({ refused: 'Node password rejected' });
    expect(registerNode(done(deleteNode(three, 'b', undefined, all)), 'b', 'new', false)).toHaveProperty(
      'cluster',
    );
  });
  it('are deleted only as they were seen', () => {
    const node = three.nodes.find((candidate) => candidate.name === 'b');
    const uid = node?.uid ?? 0;
    expect(deleteNode(three, 'b', { uid: uid + 1 }, all)).toEqual({ refused: 'conflict' });
    expect(deleteNode(three, 'b', { uid, resourceVersion: 0 }, all)).toEqual({ refused: 'conflict' });
    expect(deleteNode(three, 'b', { uid }, all)).toHaveProperty('cluster');
  });
  it('cannot be deleted without quorum', () => {
    expect(deleteNode(three, 'b', undefined, (name) => name === 'a')).toEqual({
      refused: 'etcdserver: request timed out',
    });
  });
  it('do not come back under a denied name', () => {
    expect(registerNode({ ...one, denied: ['b'] }, 'b', 'pw', false)).toEqual({
      refused: 'denied by admission policy',
    });
  });
});
