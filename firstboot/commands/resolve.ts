// `edgekiln-node resolve`: a person looked at what the device held for, and says: go on.
import { parseArgs } from 'node:util';
import { pathsUnder } from '../boot/paths.ts';
import { tellAgent } from '../status/ask.ts';
import type { Command } from './command.ts';

export const resolve: Command = {
  name: 'resolve',
  summary: 'after an alarm: say that a person looked, and let the device go on',
  help: `Clears the alarms of this device, after a person has looked at what they say. One whose voice was lost with its
memory takes part in decisions again; one that is in no cluster and held looks for its site again. Nothing is deleted,
and what an alarm asks a person to do is not done by it: a cause that stays raises it again. Only root may.

Options:
  --json       what the agent said, as data (version 1)
  --root DIR   tell the agent that runs below DIR

Example:
  edgekiln-node status && edgekiln-node resolve`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, json: { type: 'boolean' } } as const;
    const { root, json } = parseArgs({ args: [...args], options }).values;
    const said = await tellAgent(pathsUnder(root).control, '/resolve');
    if (json === true)
      process.stdout.write(`${JSON.stringify({ version: 1, said: said.trim() }, null, 2)}\n`);
    else process.stderr.write(said);
  },
};
