// `edgekiln-node fill`: copies slot A over slot B and verifies it. The agent starts it by itself, at idle priority.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure } from '../../formats/errors.ts';
import { bootFacts } from '../boot/facts.ts';
import { pathsUnder } from '../boot/paths.ts';
import { inOneLine } from '../inoneline.ts';
import { openDisk } from '../slots/disk.ts';
import { fillSlot } from '../slots/fill.ts';
import type { Command } from './command.ts';

export const fill: Command = {
  name: 'fill',
  summary: 'copy slot A over slot B and verify it (the agent does by itself)',
  help: `It refuses to run from slot B. It says how far it is, in bytes read; the boot state is the agent's to change.

Options:
  --leisure N  after each piece, leave the disk alone for N times as long as it took (default: 4)
  --root DIR   take every path below DIR

Example:
  ionice --class idle nice -n 19 edgekiln-node fill`,
  async run(args) {
    const options = {
      root: { type: 'string', default: '/' },
      leisure: { type: 'string', default: '4' },
    } as const;
    const { root, leisure } = parseArgs({ args: [...args], options }).values;
    if (!/^\d{1,3}$/.test(leisure)) {
      throw new Failure('input', { what: `'${leisure}' is not a number`, fix: 'give --leisure 0 to 999' });
    }
    const paths = pathsUnder(root);
    const { identity, record } = await bootFacts(paths);
    if (!identity.known) throw new Failure('environment', { what: identity.why, where: root });
    if (record.disk === undefined || record.slot !== 'a') {
      throw new Failure('environment', { what: 'the device does not run from slot A', where: paths.record });
    }
    const { stamp } = identity;
    const disk = await openDisk(join(root, record.disk), await readFile(paths.stamp));
    const abort = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => abort.abort());
    const { slots } = stamp.disk;
    try {
      await fillSlot(
        disk,
        { from: slots.a, to: slots.b, ...stamp.slot },
        {
          signal: abort.signal,
          leisure: Number(leisure),
          progress: (done, total) => void process.stdout.write(`${done} of ${total}\n`),
          forget: () => writeFile(paths.dropCaches, '1'),
        },
      );
    } catch (error) {
      const kind = abort.signal.aborted ? 'interrupted' : 'io';
      throw new Failure(kind, { what: inOneLine(error) }, error);
    } finally {
      await disk.close();
    }
  },
};
