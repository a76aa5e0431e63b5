// A whole lab in one process: the switch, the gateway, the hosts.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHost } from '../namespaces/host.ts';
import { NeighbourTables } from '../namespaces/neighbours.ts';
import { openWires, type Wires } from '../namespaces/wires.ts';
import { macOf } from '../qemu/arguments.ts';
import { type Disk, overlayDisk, volatileDisk } from '../qemu/disk.ts';
import { type Forwards, type Gateway, openGateway } from '../qemu/gateway.ts';
import { type Machine, startMachine } from '../qemu/machine.ts';
import { openSwitch, type Switch } from '../switch/ports.ts';
import { seeded } from '../switch/random.ts';
import type { Host } from './host.ts';
import type { LabPlan, NamespacePlace, Place } from './plan.ts';

/**
 * The site is part of every machine's Ethernet address; logs and disks go to the directory, which is made; the seed is
 * that of faults and power cuts; without a router there are no leases and no way out.
 */
export type LabOptions = Pick<LabPlan, 'site' | 'directory' | 'seed' | 'router'>;

export interface Lab {
  readonly lan: Switch;
  /** Folder of its sockets. */
  readonly sockets: string;
  readonly gateway: Gateway;
  readonly hosts: ReadonlyMap<string, Host>;
  /** Puts a machine on a port of its own, named as the machine. */
  add(place: Place): Promise<Machine>;
  /** The same for a host in namespaces; needs root. */
  addHost(place: NamespacePlace): Promise<Host>;
  forwards(machine: string): Forwards;
  /** Stops all that this lab started. Files stay. */
  stop(): Promise<void>;
}

export async function openLab(options: LabOptions): Promise<Lab> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  // Sockets have a folder of their own: a path of a socket has at most 107 bytes, one of a site may be longer.
  const sockets = mkdtempSync(join(tmpdir().length > 40 ? '/tmp' : tmpdir(), 'edgekiln-'));
  const lan = openSwitch(sockets, options.seed === undefined ? {} : { seed: options.seed });
  const gateway = await openGateway(lan, sockets, options).catch(async (error) => {
    await lan.close();
    rmSync(sockets, { recursive: true });
    throw error;
  });
  const random = seeded(options.seed ?? 1);
  const hosts = new Map<string, Host>();
  let wires: Promise<Wires> | undefined;
  const neighbours = new NeighbourTables();
  let namespaces = 0;
  const disks: Disk[] = [];
  return {
    lan,
    sockets,
    gateway,
    hosts,
    async add(place) {
      const directory = join(options.directory, place.name);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const port = place.silence === undefined ? {} : { silence: place.silence };
      const socket = await lan.addPort(place.name, port);
      const { image, survival, disk: size } = place;
      const nbd = join(sockets, `${place.name}.nbd`);
      const disk =
        survival === undefined
          ? await overlayDisk(image, directory, size)
          : await volatileDisk(image, directory, { socket: nbd, survival, random, size });
      disks.push(disk);
      const machine = await startMachine({
        ...place,
        disk: place.writeProtected === true ? { ...disk, blockdev: `${disk.blockdev},read-only=on` } : disk,
        directory,
        sockets,
        lan: { socket, mac: macOf(options.site, place.name) },
      });
      hosts.set(place.name, machine);
      return machine;
    },
    async addHost({ name, flashed, k3s, settings, silence }) {
      const directory = join(options.directory, name);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const socket = await lan.addPort(name, silence === undefined ? {} : { silence });
      wires ??= openWires(sockets);
      namespaces += 1;
      neighbours.makeRoom(namespaces);
      const { site } = options;
      const host = await startHost({
        name,
        site,
        directory,
        flashed,
        k3s,
        settings,
        leases: options.router !== undefined,
        lan: { wires: await wires, socket, mac: macOf(site, name) },
      });
      hosts.set(name, host);
      return host;
    },
    forwards: gateway.forwards,
    async stop() {
      await Promise.all([...hosts.values()].map((host) => host.stop()));
      await Promise.all(disks.map((disk) => disk.close()));
      neighbours.putBack();
      await (await wires)?.stop();
      await gateway.stop();
      await lan.close();
      rmSync(sockets, { recursive: true, force: true });
    },
  };
}
