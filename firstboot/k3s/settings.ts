// The configuration of k3s, as data. Pure. Written as JSON, which YAML contains.
import { type AgentConfig, type K3sSetting, k3sDefaults } from '../../formats/agentconfig.ts';
import type { Options, Store } from './store.ts';

/** Options that k3s wants equal on all servers and does not check: fixed when the cluster is founded. */
const critical =
  /^(cluster-(cidr|dns|domain)|service-(cidr|node-port-range)|flannel-(backend|ipv6-masq|external-ip)|egress-selector-mode|disable(-(scheduler|cloud-controller|kube-proxy|network-policy|helm-controller))?|servicelb-namespace|secrets-encryption(-provider)?|embedded-registry)$/;
/**
 * Options that an agent knows. With another one in its configuration it does not start: "flag provided but not
 * defined" (measured with 1.36.3); a server reads past what it does not know.
 */
const agentKnows = new Set(
  `debug vmodule log alsologtostderr with-node-id image-credential-provider-bin-dir
  image-credential-provider-config selinux lb-server-port protect-kernel-defaults container-runtime-endpoint
  default-runtime image-service-endpoint pause-image snapshotter private-registry disable-default-registry-endpoint
  nonroot-devices bind-address node-external-ip node-internal-dns node-external-dns resolv-conf flannel-conf
  flannel-cni-conf kube-proxy-arg enable-pprof rootless prefer-bundled-bin docker vpn-auth vpn-auth-file
  disable-apiserver-lb`.split(/\s+/),
);

/** The critical options of a cluster that this image would found. */
export function criticalOptions({ k3s, network }: AgentConfig): Options {
  const own = Object.entries(k3s?.config ?? {}).filter(([name]) => critical.test(name));
  const nets =
    network === undefined ? {} : { 'cluster-cidr': network.podCidr, 'service-cidr': network.serviceCidr };
  return { ...k3sDefaults, ...nets, ...Object.fromEntries(own) };
}

/**
 * Refuses options that are not among those a cluster has in common: what another device sends may not say where this
 * one's k3s keeps its store, nor which files it writes.
 */
export function refuseOthers(options: Options): void {
  const other = Object.keys(options).find((name) => !critical.test(name));
  if (other !== undefined)
    throw new Error(`${other} is no option that the servers of a cluster have in common`);
}

export interface Node {
  readonly name: string;
  readonly address: string;
  /** The interface that carries the address. */
  readonly interface: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly string[];
  /** kubelet refuses cgroup v1 by default from 1.35 on. */
  readonly cgroupV1: boolean;
}

export interface TokenFiles {
  readonly serverToken: string;
  readonly agentToken: string;
  readonly joinToken: string;
}

/** What is in the drop-in for this role. Secrets are named by their files. `init` uses the founding permit. */
export function k3sOptions(
  config: AgentConfig,
  node: Node,
  store: Store,
  files: TokenFiles,
  init: boolean,
): Options {
  const own = config.k3s?.config ?? {};
  const server = store.role !== 'agent';
  const chosen = Object.entries(own).filter(
    ([name]) => !critical.test(name) && (server || agentKnows.has(name)),
  );
  const network = (server ? store.critical : own)['flannel-backend'];
  const [first] = store.servers;
  return {
    ...Object.fromEntries(chosen),
    ...(server ? store.critical : {}),
    'node-name': node.name,
    'node-ip': node.address,
    ...(network === 'none' ? {} : { 'flannel-iface': node.interface }),
    'node-label': [...list(own['node-label']), ...Object.entries(node.labels).map(([k, v]) => `${k}=${v}`)],
    'node-taint': [...list(own['node-taint']), ...node.taints],
    'kubelet-arg': [...kubeletArguments(config, node), ...list(own['kubelet-arg'])],
    ...(server
      ? {
          'advertise-address': node.address,
          'tls-san': [...list(own['tls-san']), node.name, `${node.name}.local`],
          'token-file': files.serverToken,
          'agent-token-file': files.agentToken,
          'write-kubeconfig-mode': '0600',
        }
      : { 'token-file': files.joinToken }),
    ...(first === undefined ? {} : { server: first }),
    ...(init ? { 'cluster-init': true } : {}),
  };
}

function kubeletArguments({ limits }: AgentConfig, node: Node): string[] {
  return [
    ...(node.cgroupV1 ? ['fail-cgroupv1=false'] : []),
    ...(limits === undefined
      ? []
      : [
          `container-log-max-size=${Math.max(1, Math.round(limits.containerLogs.size / 1024))}Ki`,
          `container-log-max-files=${Math.max(2, limits.containerLogs.files)}`,
          `image-gc-high-threshold=${limits.images.high}`,
          `image-gc-low-threshold=${limits.images.low}`,
        ]),
  ];
}

function list(value: K3sSetting | undefined): readonly (string | number | boolean)[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [value];
}

/** Settings of the Go runtime for a board of so many bytes: a small one collects garbage earlier. Lines of KEY=VALUE. */
export function k3sEnvironment(memory: number): string {
  const gibibyte = 1024 ** 3;
  if (memory > 2.5 * gibibyte) return '';
  return `GOGC=50\nGOMEMLIMIT=${Math.round((memory * 0.45) / 1024 ** 2)}MiB\n`;
}
