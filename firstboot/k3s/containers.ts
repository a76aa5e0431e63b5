// Containers outlive k3s, so that its restart is nobody's loss. When a cluster is left for good they end too.
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ends the containers of k3s on this device; returns when their shims are gone, or after ten seconds. */
export async function endContainers(): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 500) {
    const processes = await processTree();
    const shims = processes.filter(({ command }) =>
      /containerd-shim.*-namespace\0?k8s\.io|containerd-shim.*k8s\.io/.test(command),
    );
    const family = new Set(shims.map(({ pid }) => pid));
    for (let grown = true; grown; ) {
      const more = processes.filter(({ pid, parent }) => family.has(parent) && !family.has(pid));
      for (const { pid } of more) family.add(pid);
      grown = more.length > 0;
    }
    if (family.size === 0) return;
    for (const pid of family) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
    await sleep(500);
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

async function processTree(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<Process[]> => {
      try {
        const command = await readFile(`/proc/${pid}/cmdline`, 'latin1');
        const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
        const parent = Number(stat.replace(/^.*\) /s, '').split(' ')[1]);
        return [{ pid: Number(pid), parent, command }];
      } catch {
        return [];
      }
    }),
  );
  return found.flat();
}
