// `edgekiln-node logs`: the journal of the units that are ours.
import { parseArgs } from 'node:util';
import { Failure } from '../../formats/errors.ts';
import type { Command } from './command.ts';

const units = ['edgekiln', 'edgekiln-ssh-keys', 'edgekiln-deadman', 'k3s', 'k3s-agent'];

export const logs: Command = {
  name: 'logs',
  summary: 'show what the agent and k3s wrote to the journal',
  help: `Options:
  --follow, -f     go on with new lines
  --lines N        the last N lines (200)
  --json           one JSON object a line, as journalctl gives it

Example:
  edgekiln-node logs --follow`,
  async run(args) {
    const options = {
      follow: { type: 'boolean', short: 'f', default: false },
      lines: { type: 'string', default: '200' },
      json: { type: 'boolean', default: false },
    } as const;
    const { follow, lines, json } = parseArgs({ args: [...args], options }).values;
    if (!/^\d+$/.test(lines)) throw new Failure('input', { what: `'${lines}' is not a number of lines` });
    // Only here: what starts programs is most of this bundle, and the service at rest has no need of it.
    const programs = await import('../../formats/programs.ts');
    // What it starts is in a group of its own, which a Ctrl-C at the terminal does not reach.
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => abort.abort());
    await programs.run(
      'journalctl',
      [
        '--no-pager',
        `--lines=${lines}`,
        ...units.map((unit) => `--unit=${unit}`),
        ...(follow ? ['--follow'] : []),
        ...(json ? ['--output=json'] : []),
      ],
      { stdout: 'inherit', cancelSignal: abort.signal },
    );
  },
};
