import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { place } from '../../formats/roster.ts';
import type { ClusterId, Hash } from '../protocol/terms.ts';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { incapability, markWhole, prepare } from './prepare.ts';
import type { Store } from './store.ts';

const config: AgentConfig = { version: 1, site: 't', edgekiln: '0', port: 80 };
const node = {
  name: 'n2',
  address: '198.18.7.2',
  interface: 'site0',
  labels: {},
  taints: [],
  cgroupV1: false,
};
const store: Store = {
  identity: { cluster: '0123456789ab' as ClusterId, ca: 'ab'.repeat(32) as Hash, founder: place(1) },
  role: 'agent',
  ready: false,
  servers: ['https://198.18.7.1:6443'],
  critical: {},
};
const [torn, whole] = ['0', '1'].map((digit) => digit.repeat(64));

let root: string;
let paths: K3sPaths;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekiln-prepare-'));
  paths = k3sPaths(root);
});
afterEach(() => rmSync(root, { recursive: true }));

const start = () => prepare(paths, config, node, 'password', store, false);
function put(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

test('an agent is told its server and where its token is, in a file of its own', async () => {
  await start();
  expect(JSON.parse(readFileSync(paths.config, 'utf8'))).toEqual({
    'node-name': 'n2',
    'node-ip': '198.18.7.2',
    'flannel-iface': 'site0',
    'node-label': [],
    'node-taint': [],
    'kubelet-arg': [],
    'token-file': paths.joinToken,
    server: 'https://198.18.7.1:6443',
  });
  expect(statSync(paths.config).mode & 0o777).toBe(0o600);
});

test('the password of the node is written once, for this device alone, and never changed', async () => {
  await start();
  expect(readFileSync(paths.nodePassword, 'utf8')).toBe('password\n');
  expect(statSync(paths.nodePassword).mode & 0o777).toBe(0o600);
  writeFileSync(paths.nodePassword, 'the one the cluster knows\n');
  await start();
  expect(readFileSync(paths.nodePassword, 'utf8')).toBe('the one the cluster knows\n');
});

test('a program that was unpacked and never seen to work may be torn: it goes before k3s starts', async () => {
  for (const name of [torn, whole]) put(join(paths.unpacked, name ?? '', 'bin/containerd'), 'x');
  put(join(paths.unpacked, 'current'), 'not a tree of k3s');
  rmSync(join(paths.unpacked, torn ?? ''), { recursive: true });
  await markWhole(paths);
  put(join(paths.unpacked, torn ?? '', 'bin/containerd'), 'x');
  await start();
  expect(readdirSync(paths.unpacked).sort()).toEqual([whole, `${whole}.whole`, 'current']);
});

test('the archives of the slot are where k3s looks, those of an older slot no longer; what a person put there stays', async () => {
  put(join(paths.slotImages, 'aa.tar.zst'));
  put(join(paths.images, 'mine.tar'));
  symlinkSync(join(paths.slotImages, 'old.tar.zst'), join(paths.images, 'old.tar.zst'));
  symlinkSync('/elsewhere/b.tar', join(paths.images, 'b.tar'));
  await start();
  await start();
  expect(readdirSync(paths.images).sort()).toEqual(['.cache.json', 'aa.tar.zst', 'b.tar', 'mine.tar']);
  expect(readlinkSync(join(paths.images, 'aa.tar.zst'))).toBe(join(paths.slotImages, 'aa.tar.zst'));
});

test('without the program of k3s a board can do nothing, and says so', async () => {
  expect(await incapability(paths)).toBe('the image holds no k3s');
  put(paths.program, '#!/bin/sh');
  expect(existsSync(paths.program)).toBe(true);
  // There, but not to be run.
  expect(await incapability(paths)).toBe('the image holds no k3s');
});
