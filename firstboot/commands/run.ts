// `edgekiln-node run`: the service, until a signal ends it.
import { parseArgs } from 'node:util';
import { Failure } from '../../formats/errors.ts';
import { pathsUnder } from '../boot/paths.ts';
import { Service } from '../service.ts';
import type { Command } from './command.ts';

export const run: Command = {
  name: 'run',
  summary: 'run the service of this device (edgekiln.service does)',
  help: `Options:
  --root DIR   take every path below DIR, to try the agent on a machine that is no device
  --port N     port of the status page, instead of the image's

Example:
  edgekiln-node run --root /tmp/device --port 8080`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, port: { type: 'string' } } as const;
    const { root, port } = parseArgs({ args: [...args], options }).values;
    const service = await Service.start(pathsUnder(root), port === undefined ? undefined : portOf(port));
    await new Promise((resolve) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
    });
    await service.stop();
  },
};

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new Failure('input', { what: `'${text}' is not a port`, fix: 'give a number from 1 to 65535' });
}
