import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { place } from '../../formats/roster.ts';
import { k3sPaths } from './paths.ts';
import { makeStore, nodePassword, readStore, setAside, writeStore } from './store.ts';

function device() {
  const root = mkdtempSync(join(tmpdir(), 'edgekiln-k3s-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  return k3sPaths(root);
}

test('a founder makes authorities and tokens; all of them its own, the identity names them', async () => {
  const paths = device();
  const store = await makeStore(paths, place(3), { disable: ['traefik'] });
  expect(await readStore(paths)).toEqual(store);
  const certificate = readFileSync(join(paths.dataDir, 'server/tls/server-ca.crt'));
  expect(store.identity).toEqual({
    cluster: expect.stringMatching(/^[0-9a-f]{12}$/),
    ca: createHash('sha256').update(certificate).digest('hex'),
    founder: 3,
  });
  for (const name of ['server-ca', 'client-ca', 'request-header-ca', 'etcd/peer-ca', 'etcd/server-ca']) {
    const file = join(paths.dataDir, 'server/tls', name);
    const key = spawnSync('openssl', ['ec', '-in', `${file}.key`, '-pubout'], { encoding: 'utf8' }).stdout;
    const signed = spawnSync('openssl', ['x509', '-in', `${file}.crt`, '-noout', '-pubkey'], {
      encoding: 'utf8',
    });
    expect(key).toBe(signed.stdout);
    expect(statSync(`${file}.key`).mode & 0o777).toBe(0o600);
  }
  const tokens = [paths.serverToken, paths.agentToken].map((path) => readFileSync(path, 'utf8'));
  expect(tokens[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(tokens[0]).not.toBe(tokens[1]);
});

test('a founding that was never started is taken again; one that was is set aside, and nothing is lost', async () => {
  const paths = device();
  const first = await makeStore(paths, place(1), {});
  expect(await makeStore(paths, place(1), {})).toEqual(first);
  mkdirSync(paths.wal, { recursive: true });
  const second = await makeStore(paths, place(1), {});
  expect(second.identity.cluster).not.toBe(first.identity.cluster);
  expect(existsSync(paths.wal)).toBe(false);
  const retired = join(paths.dataDir, '../retired', first.identity.cluster);
  expect(existsSync(join(retired, 'server/db/etcd/member/wal'))).toBe(true);
  // What a power cut left before cluster.json was written belongs to nobody.
  rmSync(paths.cluster);
  await makeStore(paths, place(1), {});
  expect(readdirSync(join(paths.dataDir, '../retired')).sort()).toEqual(
    [first.identity.cluster, 'unfinished'].sort(),
  );
});

test('setting aside goes through the data partition, keeps the program, and never overwrites', async () => {
  const paths = device();
  for (const round of [1, 2]) {
    for (const name of ['server/db', 'agent', 'data/current', 'edgekiln'])
      mkdirSync(join(paths.persisted, name), { recursive: true });
    writeFileSync(join(paths.persisted, 'server/db/round'), String(round));
    await setAside(paths, 'abc');
    expect(readdirSync(paths.persisted)).toEqual(['data']);
  }
  const read = (name: string): string =>
    readFileSync(join(paths.data, 'retired', name, 'server/db/round'), 'utf8');
  expect([read('abc'), read('abc-2')]).toEqual(['1', '2']);
});

test('cluster.json that is torn or of another form is none', async () => {
  const paths = device();
  const store = await makeStore(paths, place(1), {});
  for (const text of ['', '{"cluster":"x"}', '[]', JSON.stringify({ ...store.identity, role: 'king' })]) {
    writeFileSync(paths.cluster, text);
    expect(await readStore(paths)).toBeUndefined();
  }
  await writeStore(paths, { ...store, ready: true });
  expect((await readStore(paths))?.ready).toBe(true);
});

test('the node password is the same in every life of a device, and nobody else has it', () => {
  const { privateKey } = generateKeyPairSync('ed25519');
  expect(nodePassword(privateKey)).toBe(nodePassword(privateKey));
  expect(nodePassword(privateKey)).toMatch(/^[0-9a-f]{32}$/);
  expect(nodePassword(privateKey)).not.toBe(nodePassword(generateKeyPairSync('ed25519').privateKey));
});
