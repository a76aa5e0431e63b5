import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { removeEmptied, syncWritten } from './written.ts';

test('certificates and tokens are synced, what has a sync of its own is left, nothing there is no fault', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'edgekiln-written-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  await syncWritten({ dataDir });
  for (const path of [
    'server/tls/etcd/peer-ca.crt',
    'server/token',
    'agent/client.key',
    'server/db/etcd/wal',
  ]) {
    mkdirSync(join(dataDir, path, '..'), { recursive: true });
    writeFileSync(join(dataDir, path), 'x');
  }
  await syncWritten({ dataDir });
  if (spawnSync('strace', ['-V']).status !== 0) return;
  const program = `import('${import.meta.dirname}/written.ts').then((m) => m.syncWritten({ dataDir: '${dataDir}' }))`;
  const log = join(dataDir, 'trace');
  execFileSync('strace', [
    '-f',
    '-y',
    '-e',
    'fsync',
    '-o',
    log,
    process.execPath,
    '--import',
    'tsx',
    '-e',
    program,
  ]);
  const synced = execFileSync('grep', ['-o', `${dataDir}/[^>]*`, log], { encoding: 'utf8' });
  for (const path of ['server/tls/etcd/peer-ca.crt', 'server/token', 'agent/client.key', 'server/tls'])
    expect(synced).toContain(`${dataDir}/${path}\n`);
  expect(synced).not.toContain('wal');
});

test('what a power cut left empty goes before k3s starts; what is not ours, or not empty, stays', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'edgekiln-written-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  expect(await removeEmptied({ dataDir })).toBe(0);
  const put = (path: string, text: string): void => {
    mkdirSync(join(dataDir, path, '..'), { recursive: true });
    writeFileSync(join(dataDir, path), text);
  };
  const emptied = ['server/token', 'server/tls/etcd/peer-ca.key', 'agent/client-kubelet.crt'];
  const kept = ['server/manifests/coredns.yaml.skip', 'server/db/etcd/member/wal/0.wal', 'edgekiln/none'];
  for (const path of [...emptied, ...kept]) put(path, '');
  put('server/tls/server-ca.crt', 'x');
  expect(await removeEmptied({ dataDir })).toBe(3);
  const there = (path: string): boolean => existsSync(join(dataDir, path));
  expect(emptied.filter(there)).toEqual([]);
  expect([...kept, 'server/tls/server-ca.crt'].filter((path) => !there(path))).toEqual([]);
});
