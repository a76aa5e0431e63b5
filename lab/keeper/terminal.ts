// This terminal as the serial console of a machine.
import { once } from 'node:events';
import type net from 'node:net';

/** Ctrl-], as telnet's: what detaches. */
const detachKey = 0x1d;

/** Joins stdin and stdout to a console until the key, the end of stdin or of the machine's lab, or `signal`. */
export async function attachTerminal(socket: net.Socket, signal: AbortSignal): Promise<void> {
  const { stdin, stdout } = process;
  const raw = stdin.isTTY === true;
  const type = (bytes: Buffer): void => {
    const end = raw ? bytes.indexOf(detachKey) : -1;
    socket.write(end === -1 ? bytes : bytes.subarray(0, end));
    if (end !== -1) socket.end();
  };
  const leave = () => socket.destroy();
  if (raw) stdin.setRawMode(true);
  stdin.on('data', type);
  stdin.once('end', () => socket.end());
  socket.on('data', (bytes: Buffer) => stdout.write(bytes));
  signal.addEventListener('abort', leave);
  socket.resume();
  stdin.resume();
  if (!socket.closed) await once(socket, 'close');
  signal.removeEventListener('abort', leave);
  stdin.off('data', type);
  if (raw) stdin.setRawMode(false);
  stdin.pause();
}
