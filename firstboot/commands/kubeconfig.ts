// `edgekiln-node kubeconfig`: what kubectl on another machine of the LAN needs.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Failure } from '../../formats/errors.ts';
import { isRecord, parseJson } from '../../formats/json.ts';
import { pathsUnder } from '../boot/paths.ts';
import { askAgent } from '../status/ask.ts';
import type { Command } from './command.ts';

const file = '/etc/rancher/k3s/k3s.yaml';

export const kubeconfig: Command = {
  name: 'kubeconfig',
  summary: 'print a kubeconfig for the cluster, for a machine of the LAN (secret)',
  help: `Only on a server of the cluster, and only for root: who has it owns the cluster.

Options:
  --server ADDRESS   the address to reach the API at (default: the first of the status page's)
  --root DIR         take every path below DIR

Example:
  ssh admin@shop-01 sudo edgekiln-node kubeconfig > shop.kubeconfig`,
  async run(args) {
    const options = { root: { type: 'string', default: '/' }, server: { type: 'string' } } as const;
    const { root, server } = parseArgs({ args: [...args], options }).values;
    const text = await readFile(join(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES')
        throw new Failure('environment', {
          what: 'only root may read it',
          where: file,
          fix: 'sudo edgekiln-node kubeconfig',
        });
      throw new Failure('environment', {
        what: 'this device is no server of a cluster',
        where: file,
        fix: 'edgekiln-node status names the servers: ask one of them',
      });
    });
    const address = server ?? (await lanAddress(root));
    process.stdout.write(text.replace('https://127.0.0.1:6443', `https://${address}:6443`));
  },
};

/** The first address that people can reach, as the agent says it. */
async function lanAddress(root: string): Promise<string> {
  const status = parseJson(await askAgent(pathsUnder(root).socket, '/status.json'));
  const urls = isRecord(status) && Array.isArray(status['urls']) ? status['urls'] : [];
  const address =
    typeof urls[0] === 'string' ? /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(urls[0])?.[1] : undefined;
  if (address !== undefined) return address;
  throw new Failure('environment', {
    what: 'this device has no address that others could reach',
    fix: 'give one with --server, or bring it an address by DHCP',
  });
}
