// `edgekiln-node slots`: the two root filesystems, which one runs and which one boots next.
import { parseArgs } from 'node:util';
import { pathsUnder } from '../boot/paths.ts';
import { askAgent } from '../status/ask.ts';
import type { Command } from './command.ts';

export const slots: Command = {
  name: 'slots',
  summary: 'show both slots and which one boots next',
  help: `Options:
  --json       the slots as data (version 1)
  --root DIR   ask the agent that runs below DIR

Example:
  edgekiln-node slots --json`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, json: { type: 'boolean' } } as const;
    const { root, json } = parseArgs({ args: [...args], options }).values;
    const path = json === true ? '/slots.json' : '/slots.txt';
    process.stdout.write(await askAgent(pathsUnder(root).socket, path));
  },
};
