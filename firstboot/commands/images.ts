// `edgekiln-node images import FILE`: images from a stick into k3s, so that they last.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { parseAgentConfig } from '../../formats/agentconfig.ts';
import { Failure } from '../../formats/errors.ts';
import { pathsUnder } from '../boot/paths.ts';
import { k3sPaths } from '../k3s/paths.ts';
import type { Command } from './command.ts';

export const images: Command = {
  name: 'images',
  summary: 'import container images from a file, for this device',
  help: `  edgekiln-node images import FILE

FILE is what docker save makes, or an OCI layout as a tar file, plain or by gzip. It is checked first: whole, named, for
this kind of machine, and room for it. A copy stays on data, and k3s imports it from there. Only for root.
Other devices have images of their own: import it on each that shall run them.

Options:
  --json       what was imported, as data (version 1)
  --root DIR   take every path but FILE below DIR

Example:
  sudo edgekiln-node images import /media/stick/till-2.tar`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, json: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const [verb, file, ...more] = positionals;
    if (verb !== 'import' || file === undefined || more.length > 0)
      throw new Failure('input', {
        what: 'images needs `import` and one file',
        fix: 'edgekiln-node images import FILE',
      });
    // Only here: the service at rest has no need of what reads archives.
    const { importImages } = await import('../images/import.ts');
    const { config } = pathsUnder(values.root);
    const text = await readFile(config, 'utf8').catch(() => {
      throw new Failure('environment', {
        what: 'the configuration of the image is not there',
        where: config,
      });
    });
    const { k3s } = parseAgentConfig(text, config);
    const imported = await importImages(file, k3sPaths(values.root), k3s);
    if (values.json === true) {
      process.stdout.write(`${JSON.stringify({ version: 1, ...imported }, null, 2)}\n`);
      return;
    }
    process.stdout.write(`${imported.names.join('\n')}\n`);
    process.stderr.write(`${said[imported.state]}\n`);
  },
};

const said = {
  imported: 'imported',
  'at the next start': 'kept; k3s does not run here now and imports it when it starts',
  'not yet': 'kept; k3s is still at it: edgekiln-node logs shows how far it is',
} as const;
