// The cables of hosts in namespaces: TAP devices whose frames go to ports of the switch. Node cannot open a TAP device
// (it takes an ioctl), QEMU can: one QEMU without a machine carries the cables of all hosts, a hub each.
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { run, start } from '../../formats/programs.ts';
import { openQmp } from '../qemu/qmp.ts';

export interface Wires {
  /** Plugs a cable from a port's socket into the network namespace of a process, where it becomes eth0. */
  plug(cable: Cable): Promise<void>;
  /** Pulls it; the device is gone with it. */
  unplug(name: string): Promise<void>;
  stop(): Promise<void>;
}

export interface Cable {
  /** Of the host. */
  readonly name: string;
  /** Where the switch listens for this port. */
  readonly socket: string;
  readonly mac: string;
  /** A process in the host's network namespace. */
  readonly pid: number;
}

/** Cables this process ever laid: two labs of one process use no name twice. */
let hubs = 0;

export async function openWires(directory: string): Promise<Wires> {
  const socket = join(directory, 'wires.qmp');
  const qmp = await openQmp(socket);
  const args = ['-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none'];
  args.push('-chardev', `socket,id=qmp,path=${socket}`, '-mon', 'chardev=qmp,mode=control');
  const ready = qmp.nextReady();
  const running = start('qemu-system-x86_64', args);
  const ended = await Promise.race([ready, running.ended]);
  if (ended !== undefined) {
    await qmp.close();
    throw new Failure('environment', { what: 'the cables of the lab cannot be laid', why: ended.said });
  }
  const parts = ['tap', 'tap-port', 'lan', 'lan-port'] as const;
  const plugged = new Map<string, number>();

  const unplug = async (name: string): Promise<void> => {
    const hub = plugged.get(name);
    if (hub === undefined) return;
    plugged.delete(name);
    for (const part of parts) await qmp.command('netdev_del', { id: `${part}${hub}` }).catch(() => {});
  };
  return {
    async plug({ name, socket: path, mac, pid }) {
      const hub = hubs++;
      plugged.set(name, hub);
      // Names of devices are the machine's: this process's number keeps it apart from others.
      const ifname = `ek${process.pid.toString(36)}.${hub.toString(36)}`;
      const add = (type: string, part: (typeof parts)[number], rest: object) =>
        qmp.command('netdev_add', { type, id: `${part}${hub}`, ...rest });
      try {
        // The port of the LAN last: where frames came before the hub had somewhere to put them, QEMU 7.2 was seen to
        // stop reading from the switch, for good; the host sent, and heard nothing.
        await add('tap', 'tap', { ifname, script: 'no', downscript: 'no', vnet_hdr: false });
        await add('hubport', 'tap-port', { hubid: hub, netdev: `tap${hub}` });
        await add('stream', 'lan', { server: false, addr: { type: 'unix', path } });
        await add('hubport', 'lan-port', { hubid: hub, netdev: `lan${hub}` });
        await run('ip', ['link', 'set', ifname, 'address', mac, 'netns', String(pid), 'name', 'eth0']);
      } catch (error) {
        await unplug(name);
        throw error;
      }
    },
    unplug,
    async stop() {
      running.kill('SIGKILL');
      await running.ended;
      await qmp.close();
    },
  };
}
