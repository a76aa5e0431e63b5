// Asking the running agent over its socket.
import { request } from 'node:http';
import { Failure } from '../../formats/errors.ts';

/** The agent's answer for a path such as `/status.txt`. An agent that does not answer is an `environment` failure. */
export function askAgent(socket: string, path: string): Promise<string> {
  return exchange(socket, path, 'GET');
}

/** Tells the agent to do something, over the socket that only root may use; its answer is for people. */
export function tellAgent(control: string, path: string): Promise<string> {
  return exchange(control, path, 'POST');
}

function exchange(socket: string, path: string, method: 'GET' | 'POST'): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void =>
      reject(
        new Failure('environment', {
          what: 'the agent does not answer',
          where: socket,
          why,
          fix: 'systemctl status edgekiln; edgekiln-node logs',
        }),
      );
    const asking = request({ socketPath: socket, path, method, timeout: 5000 }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', (error) => fail(error.message));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts).toString('utf8'));
        else fail(`it said ${response.statusCode} to ${path}`);
      });
    });
    asking.on('timeout', () => asking.destroy(new Error('it took more than 5 s')));
    asking.on('error', (error: NodeJS.ErrnoException) => {
      // It answers, but not to everybody.
      if (error.code === 'EACCES') reject(error);
      else fail(error.message);
    });
    asking.end();
  });
}
