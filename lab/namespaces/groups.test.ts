import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { groupsOf, hierarchies, hierarchiesIn, removeGroups } from './groups.ts';

it('finds hierarchies of version 1 with their controllers, and our group in each', () => {
  const mounts = [
    '25 30 0:23 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs rw,mode=755',
    '32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct',
    '35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd',
    '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate',
  ].join('\n');
  const groups = '4:memory:/session/a:b\n2:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/own\n';
  expect(hierarchiesIn(mounts, groups)).toEqual([
    {
      type: 'cgroup',
      mountPoint: '/sys/fs/cgroup/cpu,cpuacct',
      options: 'cpu,cpuacct',
      parent: '/sys/fs/cgroup/cpu,cpuacct/',
    },
    {
      type: 'cgroup',
      mountPoint: '/sys/fs/cgroup/memory',
      options: 'memory',
      parent: '/sys/fs/cgroup/memory/session/a:b',
    },
    {
      type: 'cgroup',
      mountPoint: '/sys/fs/cgroup/systemd',
      options: 'none,name=systemd',
      parent: '/sys/fs/cgroup/systemd/init.scope',
    },
    {
      type: 'cgroup2',
      mountPoint: '/sys/fs/cgroup/unified',
      options: 'rw',
      parent: '/sys/fs/cgroup/unified',
    },
  ]);
});

it('finds version 2 alone', () => {
  const mounts =
    '30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate,memory_recursiveprot';
  expect(hierarchiesIn(mounts, '0::/user.slice/session-1.scope\n')).toEqual([
    { type: 'cgroup2', mountPoint: '/sys/fs/cgroup', options: 'rw', parent: '/sys/fs/cgroup' },
  ]);
});

const [hierarchy] = hierarchies();
it.skipIf(process.getuid?.() !== 0 || hierarchy === undefined)(
  'looks past groups that come and go',
  async () => {
    const churn = join(hierarchy?.parent ?? '', `edgekiln@churn${process.pid}@`);
    const loop = `while :; do mkdir -p "$0"a/b "$0"c/d; rmdir "$0"a/b "$0"a "$0"c/d "$0"c; done`;
    // A process group of its own: the last mkdir must not outlive its shell.
    const child = spawn('sh', ['-c', loop, churn], { stdio: 'ignore', detached: true });
    await once(child, 'spawn');
    try {
      await expect.poll(() => groupsOf(`churn${process.pid}`).length, { timeout: 30_000 }).toBeGreaterThan(0);
      const end = performance.now() + 2000;
      while (performance.now() < end) groupsOf(`churn${process.pid}`);
    } finally {
      const gone = once(child, 'exit');
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await gone;
      await removeGroups([`${churn}a`, `${churn}c`]);
    }
  },
);
