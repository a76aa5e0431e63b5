// A machine's serial port: QEMU connects to a socket of ours, and what comes is the console's.
import net from 'node:net';
import { type ConsoleOfHost, newConsole } from '../keeper/console.ts';

/** Listens at `path` for QEMU. */
export async function openConsole(name: string, path: string, log: string): Promise<ConsoleOfHost> {
  let socket: net.Socket | undefined;
  const console = newConsole(name, log, (bytes) => void socket?.write(bytes));
  const server = net.createServer((next) => {
    socket = next;
    next.on('data', console.feed);
    next.on('error', () => next.destroy());
    next.on('close', () => {
      if (socket === next) socket = undefined;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    ...console,
    async close() {
      socket?.destroy();
      await new Promise((resolve) => server.close(resolve));
      await console.close();
    },
  };
}
