// `k3s agent`: joins with a token, learns all servers, and keeps a door to whichever of them is up.
import { existsSync, readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { writeSecret } from './authority.ts';
import { ask } from './client.ts';
import { authorityOf } from './kubeconfig.ts';
import { nodeName, runNode, say } from './node.ts';
import { notifyReady } from './notify.ts';
import { dataFolder, nodeAddress, type Options, secretOf } from './options.ts';
import { paced, pause } from './pace.ts';

interface Known {
  readonly ServerURL: string;
  readonly ServerAddresses: readonly string[];
}

export async function runAgent(options: Options): Promise<void> {
  const server = options.one('server');
  const token = secretOf(options, 'token');
  if (server === undefined) throw new Failure('input', { what: '--server is required' });
  if (token === undefined) throw new Failure('input', { what: '--token is required' });
  nodeAddress(options);
  const folder = join(dataFolder(options), 'agent');
  const file = join(folder, 'etc', 'k3s-agent-load-balancer.json');
  const kept: Known | undefined = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  // What was learnt counts only while the configuration names the same server.
  let addresses = kept?.ServerURL === server ? kept.ServerAddresses : [];
  const servers = () => [...new Set([server, ...addresses.map((address) => `https://${address}`)])];
  let ca: string | undefined;
  while (ca === undefined) ca = await Promise.any(servers().map((one) => authorityOf(one, token)));
  await pause(paced('agentReady') - (paced('nodeReady') - paced('ready')));
  const found = ca;
  const learn = async (): Promise<void> => {
    const cert = readFileSync(join(folder, 'client-kubelet.crt'), 'utf8');
    const key = readFileSync(join(folder, 'client-kubelet.key'), 'utf8');
    for (const one of servers()) {
      try {
        const got = await ask(`${one}/v1-k3s/apiservers`, { ca: found, cert, key });
        const learnt: readonly string[] = got.status === 200 ? JSON.parse(got.text) : [];
        if (learnt.length === 0) continue;
        if (learnt.join() !== addresses.join()) {
          addresses = learnt;
          writeSecret(
            file,
            JSON.stringify({ ServerURL: server, ServerAddresses: addresses } satisfies Known),
          );
        }
        return;
      } catch {
        // The next one.
      }
    }
  };
  balance(Number(options.one('lb-server-port') ?? 6444), servers);
  await runNode(options, { servers, ca: found, token, throughBalancer: true }, () => {
    say(`node ${nodeName(options)} is Ready`);
    notifyReady();
    void learn();
    setInterval(() => void learn(), 5_000);
  });
}

/** Passes each connection to the first server that takes it. */
function balance(port: number, servers: () => readonly string[]): void {
  const listener = createServer((client) => {
    client.on('error', () => client.destroy());
    const attempt = ([first, ...rest]: readonly string[]): void => {
      if (first === undefined) return void client.destroy();
      const { hostname, port: to } = new URL(first);
      const upstream = connect({
        host: hostname.replace(/[[\]]/g, ''),
        port: Number(to || 443),
        timeout: 3_000,
      });
      const failed = (): void => {
        upstream.destroy();
        attempt(rest);
      };
      upstream.once('error', failed);
      upstream.once('timeout', failed);
      upstream.once('connect', () => {
        upstream.off('error', failed).off('timeout', failed).setTimeout(0);
        upstream.on('error', () => client.destroy());
        upstream.on('close', () => client.destroy());
        client.on('close', () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    attempt(servers());
  });
  listener.on('error', (error) => say(`load balancer: ${error.message}`));
  listener.listen(port, '127.0.0.1');
}
