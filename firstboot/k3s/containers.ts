// Containers outlive k3s, so that its restart is nobody's loss. When a cluster is left for good they end too, and what
// they leave goes: the next cluster has other addresses for them, and its plugins refuse a bridge with the old ones.
import { readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../formats/programs.ts';

/** Below these k3s and its containers mount; what is mounted there is theirs. */
const theirMounts = /^\/(run\/k3s|run\/netns\/cni-|var\/lib\/kubelet\/(pods|plugins))/;
/** Interfaces that k3s's own networks make; those of pods end with them. */
const theirInterfaces = ['cni0', 'flannel.1', 'flannel-v6.1'];
/** Addresses that are given out to containers. */
const leases = '/var/lib/cni/networks';

/** Ends the containers of k3s on this device, and removes their mounts, interfaces and addresses; never a file of theirs. */
export async function removeContainers(): Promise<void> {
  await endContainers();
  // The uppermost first: it may lie on another one.
  for (const mount of mountsIn(await readFile('/proc/self/mountinfo', 'utf8')).reverse())
    await run('umount', ['--lazy', mount]);
  const interfaces = await readdir('/sys/class/net');
  for (const name of theirInterfaces.filter((one) => interfaces.includes(one)))
    await run('ip', ['link', 'delete', name]);
  await rm(leases, { recursive: true, force: true });
}

/** Mount points that are theirs, in the order they were made; the text is that of /proc/self/mountinfo. */
export function mountsIn(text: string): string[] {
  return text
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    )
    .filter((path) => theirMounts.test(path));
}

/** Returns when the shims are gone, or after ten seconds. */
async function endContainers(): Promise<void> {
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
