// JSON lines over a socket, as QMP and the lab's own control channel speak.
import type net from 'node:net';

/** A peer that sends more than this without an end of line is cut off, bytes. */
const longest = 16 * 1024 * 1024;

/** Calls back for every whole line until the socket ends or `hear` says that what follows is no longer lines. */
export function onLines(socket: net.Socket, hear: (line: string) => 'more' | 'enough'): void {
  let rest = Buffer.alloc(0);
  const take = (bytes: Buffer): void => {
    rest = Buffer.concat([rest, bytes]);
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      const line = rest.subarray(0, end).toString();
      rest = rest.subarray(end + 1);
      if (hear(line) === 'more') continue;
      socket.off('data', take);
      if (rest.length > 0) socket.unshift(rest);
      return;
    }
    if (rest.length > longest) socket.destroy();
  };
  socket.on('data', take);
}
