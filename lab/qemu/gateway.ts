// The way from this host to the machines, and, if wished, from the machines to the internet: a QEMU without a machine,
// whose user networking hangs on two ports of the switch like a person's laptop (desk) and a router.
import net from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { start } from '../../formats/programs.ts';
import type { Switch } from '../switch/ports.ts';
import { openQmp } from './qmp.ts';

/** What a person reaches on a machine: the status page, ssh, the cluster. */
const services = { status: 80, ssh: 22, kubernetes: 6443 } as const;

/** Ports on this host's 127.0.0.1. */
export const forwardsSchema = z
  .strictObject({ status: z.int(), ssh: z.int(), kubernetes: z.int() })
  .partial();
export type Forwards = z.infer<typeof forwardsSchema>;

export interface Gateway {
  /** What was forwarded to a machine, by its port on the switch. */
  forwards(port: string): Forwards;
  stop(): Promise<void>;
}

/** What a router on the LAN does. */
export const routers = ['dhcp', 'internet'] as const;
export type Router = (typeof routers)[number];

/** Names of its ports: a fault can cut them like any other. */
const desk = 'desk';
const router = 'router';
/** The router's hub; those of the desk come behind it. */
const routerHub = 0;

/**
 * Puts a desk on the switch: in every IPv4 /24 where a machine shows an address it takes .254 (.253 answers too) and
 * forwards ports of this host to the machine. It gives no address and no way out to anyone. Each network has a port and
 * a hub of its own: user networking takes every frame for its own, and one would reset the connections of another.
 * A router beside it gives leases from 10.77.0.100; one for the `internet` also a route, DNS and a way out.
 */
export async function openGateway(
  lan: Switch,
  directory: string,
  options: { router?: Router | undefined } = {},
): Promise<Gateway> {
  const args = ['-machine', 'none', '-nodefaults', '-no-user-config', '-display', 'none'];
  if (options.router !== undefined) {
    const socket = await lan.addPort(router);
    args.push(...hub('router', `stream,id=router,server=off,addr.type=unix,addr.path=${socket}`));
    const restrict = options.router === 'internet' ? 'off' : 'on';
    const addresses = 'net=10.77.0.0/24,host=10.77.0.1,dns=10.77.0.3,dhcpstart=10.77.0.100';
    args.push(...hub('outside', `user,id=outside,ipv6=off,restrict=${restrict},${addresses}`));
  }
  const socket = join(directory, 'gateway.qmp');
  const qmp = await openQmp(socket);
  args.push('-chardev', `socket,id=qmp,path=${socket}`, '-mon', 'chardev=qmp,mode=control');
  const ready = qmp.nextReady();
  const running = start('qemu-system-x86_64', args);
  const ended = await Promise.race([ready, running.ended]);
  if (ended !== undefined) {
    await qmp.close();
    throw new Failure('environment', { what: 'the gateway of the lab did not start', why: ended.said });
  }

  const served = new Set<string>();
  const ports = new Set([desk, router]);
  const forwarded = new Map<string, Forwards>();
  /** A desk in a network: its port on the switch, and user networking on a hub with it. */
  const serve = async (network: string, id: string): Promise<void> => {
    // The first is the desk; those of further networks have theirs in their names.
    const port = served.size === 0 ? desk : `${desk}-${network}`;
    served.add(network);
    ports.add(port);
    const hubid = served.size + routerHub;
    const path = await lan.addPort(port, { noDhcpServer: true });
    const add = (netdev: object) => qmp.command('netdev_add', netdev);
    // A hub stops for good when a frame comes while nobody else is on it: somebody deaf is always there, and first.
    await add({ type: 'hubport', id: `${id}nobody`, hubid });
    const own = { host: `${network}.254`, dns: `${network}.253`, dhcpstart: `${network}.250` };
    await add({ type: 'user', id, net: `${network}.0/24`, ...own, ipv6: false, restrict: true });
    await add({ type: 'hubport', id: `${id}h`, hubid, netdev: id });
    await add({ type: 'stream', id: `${id}lan`, server: false, addr: { type: 'unix', path } });
    await add({ type: 'hubport', id: `${id}lanh`, hubid, netdev: `${id}lan` });
  };
  const forward = async (port: string, address: string): Promise<void> => {
    const network = address.split('.').slice(0, 3).join('.');
    const id = `d${network.replaceAll('.', '-')}`;
    if (!served.has(network)) await serve(network, id);
    const forwards: Forwards = {};
    for (const service of ['status', 'ssh', 'kubernetes'] as const) {
      const hostPort = await freePort();
      const rule = `tcp:127.0.0.1:${hostPort}-${address}:${services[service]}`;
      const said = await qmp.command('human-monitor-command', {
        'command-line': `hostfwd_add ${id} ${rule}`,
      });
      if (said === '') forwards[service] = hostPort;
    }
    forwarded.set(port, forwards);
  };

  // One after the other: two machines of one network must not both add it.
  let last = Promise.resolve();
  lan.onAddress((port, address) => {
    if (!net.isIPv4(address) || ports.has(port)) return;
    last = last.then(() => forward(port, address)).catch(() => {}); // the gateway went: there is no way in any more
  });
  return {
    forwards: (port) => forwarded.get(port) ?? {},
    async stop() {
      running.kill('SIGKILL');
      await running.ended;
      await qmp.close();
    },
  };
}

function hub(name: string, netdev: string): readonly string[] {
  return ['-netdev', netdev, '-netdev', `hubport,id=${name}h,hubid=${routerHub},netdev=${name}`];
}

/** A port nobody listens on now. Somebody may take it before QEMU does; that one service then has no forward. */
async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
