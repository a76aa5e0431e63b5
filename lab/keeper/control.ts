// How a command speaks to a running lab: one request, one answer, as JSON lines over a unix socket; for a console the
// socket then carries its bytes.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import { z } from 'zod';
import { errorAsJson, Failure } from '../../formats/errors.ts';
import { faultSchema } from '../switch/fault.ts';
import { forwardsSchema } from '../qemu/gateway.ts';
import type { Lab } from './lab.ts';
import { onLines } from './lines.ts';

const requestSchema = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('status') }),
  z.strictObject({ verb: z.literal('console'), machine: z.string() }),
  z.strictObject({ verb: z.literal('power'), machine: z.string(), to: z.enum(['cut', 'on', 'reset']) }),
  /** Faults of one direction; a name is a machine, `desk`, `router` or `*`. An empty fault heals. */
  z.strictObject({ verb: z.literal('fault'), from: z.string(), to: z.string(), fault: faultSchema }),
]);

export type Request = z.infer<typeof requestSchema>;

/** One machine, as `status` tells it. */
export const machineStatusSchema = z.strictObject({
  name: z.string(),
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
      else await machine.reset();
      return {};
    }
    case 'fault': {
      for (const port of [request.from, request.to]) {
        if (port !== '*' && !lab.lan.addresses().has(port)) throw unknown(lab, port);
      }
      lab.lan.setFault(request.from, request.to, request.fault);
      return {};
    }
    case 'console':
      machineOf(lab, request.machine);
      return {};
  }
}

function statusOf(lab: Lab): readonly MachineStatus[] {
  const addresses = lab.lan.addresses();
  return [...lab.machines.values()].map((machine) => ({
    name: machine.name,
    power: machine.pid() === undefined ? 'off' : 'on',
    pid: machine.pid(),
    log: machine.log,
    addresses: addresses.get(machine.name) ?? [],
    forwards: lab.forwards(machine.name),
  }));
}

function machineOf(lab: Lab, name: string) {
  const machine = lab.machines.get(name);
  if (machine === undefined) throw unknown(lab, name);
  return machine;
}

function unknown(lab: Lab, name: string): Failure {
  const what = `this lab has no machine ${name}`;
  return new Failure('input', { what, fix: `one of: ${[...lab.machines.keys()].join(', ')}` });
}
