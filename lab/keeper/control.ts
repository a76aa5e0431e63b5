// How a command speaks to a running lab: one request, one answer, as JSON lines over a unix socket; for a console the
// socket then carries its bytes.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import { z } from 'zod';
import { errorAsJson, Failure } from '../../formats/errors.ts';
import { forwardsSchema } from '../qemu/gateway.ts';
import { faultSchema } from '../switch/fault.ts';
import { type Host, hostKinds } from './host.ts';
import type { Lab } from './lab.ts';
import { onLines } from './lines.ts';

const requestSchema = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('status') }),
  z.strictObject({ verb: z.literal('console'), machine: z.string() }),
  z.strictObject({
    verb: z.literal('power'),
    machine: z.string(),
    to: z.enum(['cut', 'on', 'reset', 'flashed']),
  }),
  /** Faults of one direction; a name is a machine, `desk`, `router` or `*`. An empty fault heals. */
  z.strictObject({ verb: z.literal('fault'), from: z.string(), to: z.string(), fault: faultSchema }),
  z.strictObject({ verb: z.literal('heal'), ports: z.array(z.string()).max(2) }),
]);

export type Request = z.infer<typeof requestSchema>;

/** One machine, as `status` tells it. */
export const machineStatusSchema = z.strictObject({
  name: z.string(),
  kind: z.enum(hostKinds),
  power: z.enum(['on', 'off']),
  pid: z.int().optional(),
  log: z.string(),
  addresses: z.array(z.string()).readonly(),
  forwards: forwardsSchema,
});

export type MachineStatus = z.infer<typeof machineStatusSchema>;

/** Serves a lab at `path` until the server is closed. */
export async function serveControl(lab: Lab, path: string): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    onLines(socket, (line) => {
      void answer(lab, line, socket);
      return 'enough';
    });
  });
  server.listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o600);
  return server;
}

async function answer(lab: Lab, line: string, socket: net.Socket): Promise<void> {
  const reply = (value: object) => socket.write(`${JSON.stringify(value)}\n`);
  try {
    const request = requestSchema.parse(JSON.parse(line));
    const result = await obey(lab, request);
    reply({ result });
    if (request.verb === 'console') machineOf(lab, request.machine).console.attach(socket);
    else socket.end();
  } catch (error) {
    reply(errorAsJson(error));
    socket.end();
  }
}

async function obey(lab: Lab, request: Request): Promise<unknown> {
  switch (request.verb) {
    case 'status':
      return statusOf(lab);
    case 'power': {
      const machine = machineOf(lab, request.machine);
      if (request.to === 'cut') await machine.powerCut();
      else if (request.to === 'on') await machine.powerOn();
      else if (request.to === 'flashed') await machine.reflash();
      else await machine.reset();
      return {};
    }
    case 'fault': {
      knowPorts(lab, [request.from, request.to]);
      lab.lan.setFault(request.from, request.to, request.fault);
      return {};
    }
    case 'heal':
      knowPorts(lab, request.ports);
      lab.lan.heal(...request.ports);
      return {};
    case 'console':
      machineOf(lab, request.machine);
      return {};
  }
}

function knowPorts(lab: Lab, ports: readonly string[]): void {
  for (const port of ports) if (port !== '*' && !lab.lan.addresses().has(port)) throw unknown(lab, port);
}

/** All hosts as they are now. */
export function statusOf(lab: Lab): readonly MachineStatus[] {
  const addresses = lab.lan.addresses();
  return [...lab.hosts.values()].map((machine) => ({
    name: machine.name,
    kind: machine.kind,
    power: machine.pid() === undefined ? 'off' : 'on',
    pid: machine.pid(),
    log: machine.log,
    addresses: addresses.get(machine.name) ?? [],
    forwards: lab.forwards(machine.name),
  }));
}

function machineOf(lab: Lab, name: string): Host {
  const machine = lab.hosts.get(name);
  if (machine === undefined) throw unknown(lab, name);
  return machine;
}

function unknown(lab: Lab, name: string): Failure {
  const what = `this lab has no machine ${name}`;
  return new Failure('input', { what, fix: `one of: ${[...lab.hosts.keys()].join(', ')}` });
}
