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
  --server ADDRESS   the address or name to reach the API at, such as shop-01.local (default: the first address of the
                     status page)
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
    const { name, address } = await askOf(root);
    const reached = server ?? address;
    if (reached === undefined)
      throw new Failure('environment', {
        what: 'this device has no address that others could reach',
        fix: 'give one with --server, or bring it an address by DHCP',
      });
    // The certificate is for the device's name: addresses come and go with DHCP.
    process.stdout.write(
      text.replace(
        /^( *)server: https:\/\/127\.0\.0\.1:6443$/m,
        `$1server: https://${reached}:6443\n$1tls-server-name: ${name}`,
      ),
    );
  },
};

/** The device's name and the first address that people can reach it at, as the agent says them. */
async function askOf(root: string): Promise<{ name: string; address: string | undefined }> {
  const status = parseJson(await askAgent(pathsUnder(root).socket, '/status.json'));
  if (!isRecord(status) || typeof status['name'] !== 'string')
    throw new Failure('environment', { what: 'the agent does not say who this device is' });
  const [url] = Array.isArray(status['urls']) ? status['urls'] : [];
  const address = typeof url === 'string' ? /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(url)?.[1] : undefined;
  return { name: status['name'], address };
}
