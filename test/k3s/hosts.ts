// Hosts for the contract of k3s: a network, mount and cgroup namespace each, on one bridge. The k3s is the stand-in, or
// the real one that EDGEKILN_K3S names; that one also gets what it needs beside it: containerd's shim, runc, CNI plugins.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeGroups } from '../../lab/namespaces/groups.ts';

const real = process.env['EDGEKILN_K3S'];
const root = mkdtempSync(join(tmpdir(), 'edgekiln-k3s-'));
const tag = `ek${process.pid}`;
const controllers = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids'].filter(
  (name) => existsSync(`/sys/fs/cgroup/${name}/cgroup.procs`),
);

const k3s = real ?? join(import.meta.dirname, '../../dist/k3s-stand-in.mjs');

export const isReal = real !== undefined;

/** Settings that a real k3s needs to be Ready in a namespace; the stand-in reads past them. */
const trimmed = `kubelet-arg: [fail-cgroupv1=false, fail-swap-on=false]
`;
/** The same for a server, without a CNI of its own. */
const trimmedServer = `flannel-backend: none
write-kubeconfig-mode: "600"
disable: [traefik, servicelb, metrics-server, local-storage, coredns]
disable-helm-controller: true
disable-cloud-controller: true
disable-network-policy: true
disable-kube-proxy: true
`;

/** The drop-in that is there while a host is a server. */
const serverFile = '20-server.yaml';

const conflist = `{"cniVersion":"0.4.0","name":"test","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,
"ipam":{"type":"host-local","ranges":[[{"subnet":"10.42.0.0/24"}]]}}]}`;

/** In the new namespaces: the host's own folders, cgroups mounted anew, then the program. $0 is the host's folder. */
const enter = `set -e
mount --make-rprivate /
mkdir -p /etc/rancher /var/lib/rancher /var/lib/kubelet /var/lib/cni /etc/cni/net.d
for pair in etc:/etc/rancher rancher:/var/lib/rancher kubelet:/var/lib/kubelet cni:/var/lib/cni net.d:/etc/cni/net.d run:/run log:/var/log; do
  mount --bind "$0/\${pair%%:*}" "\${pair#*:}"
done
mount --make-shared /var/lib/kubelet
mount -t tmpfs none /sys/fs/cgroup
for c in ${controllers.join(' ')}; do mkdir /sys/fs/cgroup/$c; mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c; done
exec "$@"`;

export interface Ended {
  readonly status: number;
  readonly body: string;
}

export class Host {
  readonly name: string;
  readonly address: string;
  readonly #folder: string;
  readonly #space: string;
  #serverSettings: string | undefined;
  #process: ChildProcess | undefined;
  #log = '';

  constructor(number: number) {
    this.name = `n${number}`;
    this.address = `10.78.0.${number}`;
    this.#folder = join(root, this.name);
    this.#space = `${tag}-${number}`;
    for (const part of ['etc', 'rancher', 'kubelet', 'cni', 'net.d', 'run', 'log']) {
      mkdirSync(join(this.#folder, part), { recursive: true });
    }
    writeFileSync(join(this.#folder, 'net.d', '10-test.conflist'), conflist);
    const run = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
    run('netns', 'add', this.#space);
    run('link', 'add', `${tag}v${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#space);
    run('link', 'set', `${tag}v${number}`, 'master', tag, 'up');
    run('-n', this.#space, 'link', 'set', 'lo', 'up');
    run('-n', this.#space, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
    run('-n', this.#space, 'link', 'set', 'eth0', 'up');
    for (const controller of controllers) {
      const group = `/sys/fs/cgroup/${controller}/${this.#space}`;
      mkdirSync(group, { recursive: true });
      if (controller !== 'cpuset') continue;
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        writeFileSync(join(group, file), readFileSync(`/sys/fs/cgroup/cpuset/${file}`));
      }
    }
  }

  get log(): string {
    return this.#log;
  }

  /** A file of the host, by its path there: below /etc/rancher or /var/lib/rancher. */
  path(inside: string): string {
    return join(this.#folder, inside.replace('/etc/rancher', 'etc').replace('/var/lib/rancher', 'rancher'));
  }

  configure(file: string, text: string): void {
    mkdirSync(this.path('/etc/rancher/k3s/config.yaml.d'), { recursive: true });
    writeFileSync(this.path(`/etc/rancher/k3s/config.yaml.d/${file}`), text);
  }

  /** Its name, its address, the settings a real k3s needs here, and what only a server may be told. */
  prepare(serverSettings: string): void {
    this.configure('10-base.yaml', `node-name: ${this.name}\nnode-ip: ${this.address}\n${trimmed}`);
    this.#serverSettings = serverSettings;
  }

  start(...args: ['server' | 'agent', ...string[]]): void {
    // An agent does not start with what only a server knows.
    if (args[0] === 'agent') this.forget(`/etc/rancher/k3s/config.yaml.d/${serverFile}`);
    else if (this.#serverSettings !== undefined)
      this.configure(serverFile, `${trimmedServer}${this.#serverSettings}`);
    this.#log = '';
    this.#process = this.#spawn(args);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (part: Buffer) => {
        this.#log += part.toString();
        appendFileSync(join(this.#folder, 'k3s.log'), part);
      });
    }
  }

  /** A short verb of k3s, such as `token create`. */
  run(...args: string[]): Promise<string> {
    return said(this.#spawn(args));
  }

  /** A program of this project's tests on the host, with K3S in its environment: what it says. */
  runScript(file: URL, ...args: string[]): Promise<string> {
    return said(this.#spawn(['--import', 'tsx', fileURLToPath(file), ...args], process.execPath));
  }

  get running(): boolean {
    return (
      this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null
    );
  }

  /** Kills everything on the host, as a power cut does to processes. */
  async kill(): Promise<void> {
    const gone = this.running ? new Promise((resolve) => this.#process?.once('exit', resolve)) : undefined;
    for (let round = 0; round < 5; round += 1) {
      const pids = execFileSync('ip', ['netns', 'pids', this.#space], { encoding: 'utf8' }).split('\n');
      for (const pid of pids.filter((text) => text !== '')) {
        try {
          process.kill(Number(pid), 'SIGKILL');
        } catch {
          // It ended by itself.
        }
      }
      if (pids.length <= 1) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await gone;
  }

  forget(inside: string): void {
    rmSync(this.path(inside), { recursive: true, force: true });
  }

  /** HTTPS from this host, the certificate of the other end not asked for. 0 where nobody answers. */
  ask(url: string, ...args: string[]): Ended {
    const asked = [
      'netns',
      'exec',
      this.#space,
      'curl',
      '-sk',
      '-m',
      '30',
      '-w',
      '\n%{http_code}',
      ...args,
      url,
    ];
    const out = spawnSync('ip', asked, { encoding: 'utf8' }).stdout;
    const at = out.lastIndexOf('\n');
    return { status: Number(out.slice(at + 1)), body: out.slice(0, at) };
  }

  /** Asks the API of this host's server as its administrator. */
  api(method: string, path: string, body?: unknown, type = 'application/json'): Ended {
    const tls = this.path('/var/lib/rancher/k3s/server/tls');
    const given =
      body === undefined ? [] : ['-H', `content-type: ${type}`, '--data-binary', JSON.stringify(body)];
    const identity = ['--cert', join(tls, 'client-admin.crt'), '--key', join(tls, 'client-admin.key')];
    return this.ask(`https://127.0.0.1:6443${path}`, '-X', method, ...identity, ...given);
  }

  #spawn(args: readonly string[], program = k3s): ChildProcess {
    const join_ = controllers.map((name) => `echo $$ > /sys/fs/cgroup/${name}/${this.#space}/cgroup.procs`);
    const outer = `${join_.join('\n')}\nexec ip netns exec ${this.#space} unshare -m -C sh -c '${enter.replaceAll("'", "'\\''")}' "$@"`;
    const env = { ...process.env, K3S: k3s, PATH: `${programs()}:${process.env['PATH']}` };
    return spawn('sh', ['-c', outer, 'sh', this.#folder, program, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

async function said(started: ChildProcess): Promise<string> {
  let out = '';
  started.stdout?.on('data', (part: Buffer) => {
    out += part.toString();
  });
  let problem = '';
  started.stderr?.on('data', (part: Buffer) => {
    problem += part.toString();
  });
  const [code] = await once(started, 'close');
  if (code !== 0) throw new Error(`it ended with ${code}: ${problem.slice(-2000)}`);
  return out.trim();
}

/** What a k3s without tools of its own looks for on its path. */
function programs(): string {
  const folder = join(root, 'bin');
  if (existsSync(folder) || real === undefined) return folder;
  mkdirSync(folder);
  symlinkSync(real, join(folder, 'containerd'));
  for (const name of readdirSync('/usr/lib/cni')) symlinkSync(join('/usr/lib/cni', name), join(folder, name));
  return folder;
}

export function openNetwork(): void {
  execFileSync('ip', ['link', 'add', tag, 'type', 'bridge']);
  execFileSync('ip', ['link', 'set', tag, 'up']);
}

export async function closeNetwork(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) await host.kill();
  for (let number = 1; number <= hosts.length; number += 1) {
    spawnSync('ip', ['netns', 'del', `${tag}-${number}`]);
    // A real k3s makes groups below them.
    await removeGroups(controllers.map((controller) => `/sys/fs/cgroup/${controller}/${tag}-${number}`));
  }
  spawnSync('ip', ['link', 'del', tag]);
  if (process.env['EDGEKILN_KEEP'] === undefined) rmSync(root, { recursive: true, force: true });
}

/**
 * Waits until a look gives more than false or nothing, and gives that. A look that fails is one that saw nothing: so a
 * lost answer is not taken for an empty one. Says what it waited for, and why the last look failed.
 */
export async function until<Seen>(
  what: string,
  look: () => Seen,
  seconds = 180,
): Promise<Exclude<Seen, false | undefined>> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    let why = '';
    try {
      const seen = look();
      if (seen !== false && seen !== undefined) return seen as Exclude<Seen, false | undefined>;
    } catch (error) {
      why = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}${why}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
