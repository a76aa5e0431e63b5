import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { place } from '../../formats/roster.ts';
import type { ClusterId, Hash, Identity } from '../protocol/terms.ts';
import { neighbourhoodOf } from './neighbourhood.fixture.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { Runner, Waiting } from './runner.ts';
import { Serving } from './serving.ts';
import { readStore, type Store, writeStore } from './store.ts';
import type { K3sRole, Units } from './units.ts';

const identity: Identity = {
  cluster: '0123456789ab' as ClusterId,
  ca: 'ab'.repeat(32) as Hash,
  founder: place(1),
};
const agent: Store = { identity, role: 'agent', ready: true, servers: ['https://a:6443'], critical: {} };

let root: string;
let paths: K3sPaths;
let running: K3sRole | undefined;
let done: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekiln-runner-'));
  paths = k3sPaths(root);
  running = undefined;
  done = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const units: Units = {
  async start(role) {
    done.push(`start ${role}`);
    running = role;
  },
  async stop() {
    done.push('stop');
    running = undefined;
  },
  running: async () => running,
  leave() {},
};
const runnerAt = (address: string, serving = new Serving(paths)): Runner =>
  new Runner({
    paths,
    config: { version: 1, site: 't', edgekiln: '0', port: 80 },
    neighbourhood: neighbourhoodOf({ place: 1, count: 1, addresses: () => address }),
    units,
    serving,
  });
const options = () => JSON.parse(readFileSync(paths.config, 'utf8'));

test('k3s starts in the role the disk holds, after all it needs was laid out', async () => {
  await writeStore(paths, agent);
  const runner = runnerAt('127.0.0.1');
  await runner.start(identity);
  expect(done).toEqual(['stop', 'start agent']);
  expect(options()).toMatchObject({ 'node-name': 'n1', server: 'https://a:6443' });
  expect([runner.wanted, runner.ready, runner.role, runner.doing]).toEqual([
    ...[true, false, 'agent', 'starts k3s as agent'],
  ]);
});

test('one that runs already in that role is left alone: an agent of ours that starts anew disturbs nobody', async () => {
  await writeStore(paths, agent);
  running = 'agent';
  await runnerAt('127.0.0.1').start(identity);
  expect([done, existsSync(paths.config)]).toEqual([['start agent'], false]);
});

test('the permit to found is used while k3s was never up, and never again', async () => {
  const founder: Store = { ...agent, role: 'founder', ready: false, servers: [] };
  await writeStore(paths, founder);
  await runnerAt('127.0.0.1').start(identity);
  expect(options()['cluster-init']).toBe(true);
  mkdirSync(paths.wal, { recursive: true });
  running = undefined;
  await writeStore(paths, { ...founder, ready: true });
  await runnerAt('127.0.0.1').start(identity);
  expect(options()['cluster-init']).toBeUndefined();
});

test('a founder whose store is gone does not start: k3s would found another cluster', async () => {
  await writeStore(paths, { ...agent, role: 'founder', servers: [] });
  await expect(runnerAt('127.0.0.1').start(identity)).rejects.toThrow(
    'the store of cluster 0123456789ab is gone: a person decides',
  );
  expect(done).toEqual([]);
});

test('the files of another cluster are not started', async () => {
  await writeStore(paths, { ...agent, identity: { ...identity, cluster: 'ffffffffffff' as ClusterId } });
  await expect(runnerAt('127.0.0.1').start(identity)).rejects.toThrow(
    'the files of cluster 0123456789ab are not on this disk: a person decides',
  );
});

test('without its address on any interface it waits, and that is no failure', async () => {
  await writeStore(paths, agent);
  const starting = runnerAt('198.18.7.1').start(identity);
  await expect(starting).rejects.toThrow('waits for its address 198.18.7.1');
  await expect(starting).rejects.toBeInstanceOf(Waiting);
  expect(done).toEqual([]);
});

test('stopped by somebody else, it is started again', async () => {
  await writeStore(paths, agent);
  const runner = runnerAt('127.0.0.1');
  await runner.start(identity);
  running = undefined;
  done.length = 0;
  expect(await runner.look(agent)).toBe(false);
  expect(done).toEqual(['stop', 'start agent']);
});

/** A server whose API answers. */
class Answering extends Serving {
  override ready = async (): Promise<boolean> => true;
}
const server: Store = { ...agent, role: 'server' };

test('what another k3s unpacked after an update is marked as whole too, and not unpacked at every start', async () => {
  const tree = join(paths.unpacked, 'cd'.repeat(32));
  await writeStore(paths, server);
  const runner = runnerAt('127.0.0.1', new Answering(paths));
  await runner.start(identity);
  mkdirSync(join(tree, 'bin'), { recursive: true });
  expect(await runner.look(server)).toBe(true);
  expect(existsSync(`${tree}.whole`)).toBe(true);
});

test('that it works is told once it is kept, and kept at a later look where it could not be', async () => {
  const promoted: Store = { ...server, ready: false };
  await writeStore(paths, promoted);
  const runner = runnerAt('127.0.0.1', new Answering(paths));
  await runner.start(identity);
  // In the way of the file that is written beside: as a full disk would be.
  mkdirSync(`${paths.cluster}.new`);
  writeFileSync(join(`${paths.cluster}.new`, 'x'), '');
  await expect(runner.look(promoted)).rejects.toThrow();
  expect(runner.ready).toBe(false);
  rmSync(`${paths.cluster}.new`, { recursive: true });
  expect([await runner.look(promoted), runner.ready]).toEqual([true, true]);
  expect((await readStore(paths))?.ready).toBe(true);
});
