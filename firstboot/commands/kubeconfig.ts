// `edgekiln-node kubeconfig`: what kubectl on another machine of the LAN needs.
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
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
  --json             the same as data (version 1), with the address and the name that the certificate is for
  --root DIR         take every path below DIR

Example:
  ssh admin@shop-01 sudo edgekiln-node kubeconfig > shop.kubeconfig`,
  async run(args) {
    const options = {
      root: { type: 'string', default: '/' },
      server: { type: 'string' },
      json: { type: 'boolean' },
    } as const;
    const { root, server, json } = parseArgs({ args: [...args], options }).values;
    const given = server === undefined ? undefined : hostOf(server);
    const text = await readFile(join(root, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') throw error;
      throw noServer();
    });
    const { name, address, role } = await askOf(root);
    // A server that became a worker keeps the file until its next boot.
    if (role === 'agent') throw noServer();
    const reached = given ?? address;
    if (reached === undefined)
      throw new Failure('environment', {
        what: 'this device has no address that others could reach',
        fix: 'give one with --server, or bring it an address by DHCP',
      });
    const local = /^( *)server: https:\/\/(?:\[[^\]\s]+\]|[^:/\s]+):(\d+)$/m;
    const port = local.exec(text)?.[2];
    if (port === undefined)
      throw new Failure('environment', {
        what: 'k3s has not written its kubeconfig whole',
        where: file,
        fix: 'wait until edgekiln-node status says that k3s works here, and try again',
      });
    // The certificate is for the device's name: addresses come and go with DHCP.
    const url = `https://${reached}:${port}`;
    const config = text.replace(local, `$1server: ${url}\n$1tls-server-name: ${name}`);
    const data = { version: 1, server: url, tlsServerName: name, kubeconfig: config };
    process.stdout.write(json === true ? `${JSON.stringify(data, null, 2)}\n` : config);
  },
};

function noServer(): Failure {
  return new Failure('environment', {
    what: 'this device is no server of a cluster',
    where: file,
    fix: 'edgekiln-node status names the servers: ask one of them',
  });
}

/** A name or an address as it stands in a URL: an IPv6 address in brackets. */
function hostOf(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, '$1');
  if (isIPv6(bare)) return `[${bare}]`;
  if (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(text)) return text;
  throw new Failure('input', {
    what: `'${text}' is neither a name nor an address`,
    fix: 'give what leads to this device alone, such as --server shop-01.local or --server 192.168.1.20',
  });
}

/** The device's name, the first address that people can reach it at, and k3s's role, as the agent says them. */
async function askOf(root: string): Promise<{ name: string; address: string | undefined; role: unknown }> {
  const status = parseJson(await askAgent(pathsUnder(root).socket, '/status.json'));
  if (!isRecord(status) || typeof status['name'] !== 'string')
    throw new Failure('environment', { what: 'the agent does not say who this device is' });
  const [url] = Array.isArray(status['urls']) ? status['urls'] : [];
  const address = typeof url === 'string' ? /^http:\/\/(\[[^\]]+\]|[^:/]+)/.exec(url)?.[1] : undefined;
  const { k3s } = status;
  return { name: status['name'], address, role: isRecord(k3s) ? k3s['role'] : undefined };
}
