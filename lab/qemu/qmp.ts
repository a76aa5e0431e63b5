// QEMU's control channel: JSON lines over a unix socket that we listen on and QEMU connects to.
import net from 'node:net';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { onLines } from '../keeper/lines.ts';

const messageSchema = z.looseObject({
  QMP: z.unknown().optional(),
  event: z.string().optional(),
  return: z.unknown().optional(),
  error: z.object({ class: z.string(), desc: z.string() }).optional(),
});

interface Asked {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Failure) => void;
}

export interface Qmp {
  /** Settles when the next QEMU to connect takes commands. */
  nextReady(): Promise<void>;
  /** Runs one command and gives what it returns. An error of QEMU, or its end, is an environment failure. */
  command(name: string, args?: object): Promise<unknown>;
  close(): Promise<void>;
}

/** Listens at `path`. Events are not looked at. */
export async function openQmp(path: string): Promise<Qmp> {
  let socket: net.Socket | undefined;
  let waiting: Asked[] = [];
  let announce: () => void = () => {};

  const command = (name: string, args?: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (socket === undefined) return reject(gone(name));
      waiting.push({ command: name, resolve, reject });
      socket.write(`${JSON.stringify({ execute: name, ...(args && { arguments: args }) })}\n`);
    });

  const hear = (line: string): 'more' => {
    const message = messageSchema.parse(JSON.parse(line));
    if (message.event !== undefined || message.QMP !== undefined) {
      if (message.QMP !== undefined)
        command('qmp_capabilities').then(
          () => announce(),
          () => {},
        );
      return 'more';
    }
    // Without command ids QEMU answers in the order it was asked.
    const asked = waiting.shift();
    if (message.error === undefined) asked?.resolve(message.return);
    else asked?.reject(new Failure('environment', { what: `QEMU: ${asked.command}: ${message.error.desc}` }));
    return 'more';
  };

  const server = net.createServer((next) => {
    socket = next;
    onLines(next, hear);
    next.on('error', () => next.destroy());
    next.on('close', () => {
      if (socket !== next) return;
      for (const asked of waiting) asked.reject(gone(asked.command));
      waiting = [];
      socket = undefined;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });

  return {
    nextReady: () =>
      new Promise((resolve) => {
        announce = resolve;
      }),
    command,
    async close() {
      socket?.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function gone(command: string): Failure {
  return new Failure('environment', { what: `the machine ended before it answered ${command}` });
}
