// The units of overlays/agent, checked by systemd's own tools where there are any.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const overlay = join(import.meta.dirname, '../overlays/agent');
const systemUnits = '/usr/lib/systemd/system';
const here = existsSync('/usr/bin/systemd-analyze') && existsSync(join(systemUnits, 'multi-user.target'));

let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekiln-units-'));
  mkdirSync(join(root, systemUnits), { recursive: true });
  if (!here) return;
  for (const name of readdirSync(systemUnits)) {
    if (name.endsWith('.target')) cpSync(join(systemUnits, name), join(root, systemUnits, name));
  }
  cpSync(overlay, root, { recursive: true });
  mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
  const programs = ['bin/node', 'bin/ssh-keygen', 'bin/edgekiln-node', 'bin/systemctl', 'local/bin/k3s'];
  for (const program of programs) {
    writeFileSync(join(root, 'usr', program), '#!/bin/sh\n', { mode: 0o755 });
  }
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

function analyze(...args: string[]): string {
  const { stdout, stderr } = spawnSync('systemd-analyze', [...args, `--root=${root}`], { encoding: 'utf8' });
  return stdout + stderr;
}

test.runIf(here)('systemd has nothing to say against our units', () => {
  const units = readdirSync(join(overlay, systemUnits)).filter((name) => /\.(service|timer)$/.test(name));
  expect(units).toContain('edgekiln.service');
  expect(analyze('verify', ...units, 'sysinit.target', 'multi-user.target')).toBe('');
  writeFileSync(join(root, systemUnits, 'broken.service'), '[Service]\nExecStart=node\nNonsense=1\n');
  expect(analyze('verify', 'broken.service')).toContain('Nonsense');
});

test.runIf(here)('nothing waits for the network, and an empty file masks', () => {
  const state = spawnSync(
    'systemctl',
    [`--root=${root}`, 'is-enabled', 'systemd-networkd-wait-online.service', 'apt-daily.timer'],
    { encoding: 'utf8' },
  );
  expect(state.stdout).toBe('masked\nmasked\n');
});
