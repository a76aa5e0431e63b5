// `edgekiln-node status`: what the running agent says of the device.
import { parseArgs } from 'node:util';
import { pathsUnder } from '../boot/paths.ts';
import { askAgent } from '../status/ask.ts';
import type { Command } from './command.ts';

export const status: Command = {
  name: 'status',
  summary: 'say what this device is and what it waits for',
  help: `Options:
  --json       the status as data (version 1)
  --root DIR   ask the agent that runs below DIR

Example:
  edgekiln-node status --json`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, json: { type: 'boolean' } } as const;
    const { root, json } = parseArgs({ args: [...args], options }).values;
    const path = json === true ? '/status.json' : '/status.txt';
    process.stdout.write(await askAgent(pathsUnder(root).socket, path));
  },
};
