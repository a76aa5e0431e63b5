// Rules on options of k3s: those that open the cluster to strangers, and those that the agent sets itself.
import { type Finding, printPath } from '../finding.ts';
import type { KeyPath } from '../source.ts';
import type { Look, Rule } from './look.ts';

interface Insecure {
  readonly option: string;
  /** Which values are; every one where it is left out. */
  readonly value?: RegExp;
  readonly why: string;
}

const yes = /^(1|t|true)$/i;
const no = /^(0|f|false)$/i;

/** Options of k3s, and of the programs it hands its `…-arg` options to. */
const insecure: readonly Insecure[] = [
  { option: 'insecure-port', why: 'it serves the API without TLS and without asking who is there' },
  { option: 'insecure-bind-address', why: 'it serves the API without TLS and without asking who is there' },
  { option: 'anonymous-auth', value: yes, why: 'it lets in people who do not say who they are' },
  { option: 'authorization-mode', value: /AlwaysAllow/i, why: 'it allows everything to everybody' },
  { option: 'enable-admission-plugins', value: /AlwaysAdmit/i, why: 'it admits every object unchecked' },
  {
    option: 'disable-admission-plugins',
    value: /NodeRestriction/i,
    why: 'one node could then speak for another',
  },
  { option: 'token-auth-file', why: 'it is a list of passwords that never end' },
  { option: 'basic-auth-file', why: 'it is a list of passwords that never end' },
  { option: 'read-only-port', value: /^(?!0$)/, why: 'it shows every pod to everybody on the network' },
  { option: 'client-cert-auth', value: no, why: 'it lets everybody read and write the datastore' },
  { option: 'peer-client-cert-auth', value: no, why: 'it lets everybody join the datastore' },
  { option: 'etcd-expose-metrics', value: yes, why: 'it shows the datastore to everybody on the network' },
  { option: 'enable-pprof', value: yes, why: 'it shows the memory of k3s to everybody on the network' },
  { option: 'tls-san-security', value: no, why: 'strangers could have names put into the certificate' },
  { option: 'tls-min-version', value: /TLS1[01]$/, why: 'these versions of TLS are broken' },
];

const byFormation = 'the agent decides it when the cluster forms';
const byJoin = 'the agent makes and hands out tokens';
const byAddress = 'the agent gives every node its stable site address';
const byPaths = 'the image is laid out around it';

/** Options of k3s that the agent or another key of the profile sets, and who does. */
const owned: Readonly<Record<string, string>> = {
  'cluster-init': byFormation,
  'cluster-reset': 'only a person may give up a quorum, on a device',
  'cluster-reset-restore-path': 'only a person may give up a quorum, on a device',
  server: byFormation,
  'disable-agent': byFormation,
  'disable-apiserver': byFormation,
  'disable-controller-manager': byFormation,
  'disable-etcd': byFormation,
  'disable-scheduler': byFormation,
  'datastore-endpoint': 'the datastore is the embedded etcd',
  'datastore-cafile': 'the datastore is the embedded etcd',
  'datastore-certfile': 'the datastore is the embedded etcd',
  'datastore-keyfile': 'the datastore is the embedded etcd',
  token: byJoin,
  'token-file': byJoin,
  'agent-token': byJoin,
  'agent-token-file': byJoin,
  'node-name': 'it is the host name, by system.hostname',
  'with-node-id': 'it is the host name, by system.hostname',
  'node-ip': byAddress,
  'node-external-ip': byAddress,
  'advertise-address': byAddress,
  'advertise-port': byAddress,
  'bind-address': byAddress,
  'https-listen-port': byAddress,
  'supervisor-port': byAddress,
  'flannel-iface': byAddress,
  'flannel-external-ip': byAddress,
  'cluster-cidr': 'write network.podCidr',
  'service-cidr': 'write network.serviceCidr',
  'node-label': 'write labels: of the device',
  'node-taint': 'write taints: of the device',
  'private-registry': 'write registries',
  'data-dir': byPaths,
  config: byPaths,
  'config-dir': byPaths,
  'write-kubeconfig': byPaths,
  'write-kubeconfig-mode': 'the file lets its reader do everything, and stays with root',
  'write-kubeconfig-group': 'the file lets its reader do everything, and stays with root',
  rootless: byPaths,
};

/** Settings of kubelet that `limits` writes. */
const limited = [
  'image-gc-high-threshold',
  'image-gc-low-threshold',
  'container-log-max-size',
  'container-log-max-files',
];

/** Why an option is not the profile's; undefined where it is. Options may be called as what every object has. */
function ownerOf(option: string): string | undefined {
  return Object.hasOwn(owned, option) ? owned[option] : undefined;
}

export const k3sConfig: Rule = (look) =>
  look.entries(['k3s', 'config']).flatMap((at): Finding[] => {
    const option = String(at.at(-1));
    const who = ownerOf(option);
    if (who !== undefined) {
      return [{ at, key: true, what: `${printPath(at)} is not for the profile to set`, why: who }];
    }
    return words(look, at).flatMap(({ path, word }) => {
      return option.endsWith('-arg') ? checkArgument(path, word) : refuse(path, option, word);
    });
  });

/** One word of an `…-arg` option: an option of kubelet, the API server and so on. They take _ for -. */
function checkArgument(at: KeyPath, word: string): Finding[] {
  const [written = '', ...rest] = word.trim().replace(/^-+/, '').split('=');
  const name = written.replaceAll('_', '-');
  if (limited.includes(name)) {
    return [{ at, what: `${printPath(at)}: ${name} is set by limits`, fix: 'write limits instead' }];
  }
  const who = ownerOf(name);
  if (who !== undefined) {
    return [{ at, what: `${printPath(at)}: ${name} is not for the profile to set`, why: who }];
  }
  return refuse(at, name, rest.length === 0 ? 'true' : rest.join('='));
}

function refuse(at: KeyPath, option: string, value: string): Finding[] {
  const found = insecure.find((each) => each.option === option && (each.value?.test(value.trim()) ?? true));
  return found === undefined ? [] : [{ at, what: `${printPath(at)}: ${option} is refused`, why: found.why }];
}

/** A setting is one word or a list of them. */
function words(look: Look, at: KeyPath): { path: KeyPath; word: string }[] {
  const paths = look.items(at).length > 0 ? look.items(at) : [at];
  return paths.flatMap((path) => {
    const value = look.value(path);
    return typeof value === 'object' || value === undefined ? [] : [{ path, word: String(value) }];
  });
}
