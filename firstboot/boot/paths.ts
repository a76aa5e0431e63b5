// Where things are on a device; all of it under another root in tests.
import { join } from 'node:path';
import { agentConfigFile, siteKeyFile } from '../../formats/agentconfig.ts';
import { persistFile } from '../../formats/persist.ts';

/** Paths the agent reads and writes. `root` is `/` on a device. */
export function pathsUnder(root: string) {
  const at = (path: string): string => join(root, path);
  return {
    root,
    config: at(agentConfigFile),
    siteKey: at(siteKeyFile),
    persist: at(persistFile),
    /** What the initrd found; see record.ts. */
    record: at('/run/edgekiln/boot.json'),
    /** The stamp's 64 KiB, copied by the initrd. */
    stamp: at('/run/edgekiln/stamp'),
    socket: at('/run/edgekiln/status.sock'),
    /** Where root tells the agent what to do. */
    control: at('/run/edgekiln/control.sock'),
    /** Where the initrd mounts the data partition. */
    data: at('/run/edgekiln/data'),
    hostName: at('/proc/sys/kernel/hostname'),
    /** Written when the running slot is confirmed; the deadman looks for it. */
    confirmed: at('/run/edgekiln/confirmed'),
    /** How often the slot on trial was put off. */
    putOff: at('/var/lib/edgekiln/slot-put-off'),
    /** The slots as the agent last saw them, and what is to be told of them. */
    slotMemory: at('/var/lib/edgekiln/slot-memory'),
    /** What formation keeps on data. */
    formation: at('/var/lib/edgekiln/formation/record'),
    /** A roster that is newer than the stamp's. */
    roster: at('/var/lib/edgekiln/roster'),
    /** The time, for boards without a clock that lasts. */
    clock: at('/var/lib/edgekiln/clock'),
    commandLine: at('/proc/cmdline'),
    dropCaches: at('/proc/sys/vm/drop_caches'),
    hosts: at('/etc/hosts'),
    osRelease: at('/etc/os-release'),
    interfaces: at('/sys/class/net'),
    consoles: at('/sys/class/tty/console/active'),
    devices: at('/dev'),
  } as const;
}

export type Paths = ReturnType<typeof pathsUnder>;
