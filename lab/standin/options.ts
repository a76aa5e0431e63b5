// The options of a server or an agent: configuration files in k3s's order, then the environment's, then the arguments.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Failure } from '../../formats/errors.ts';

/** Each option with all its values, in order; `one` takes the last. */
export class Options {
  readonly #values = new Map<string, readonly string[]>();

  one(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  names(): readonly string[] {
    return [...this.#values.keys()];
  }

  is(name: string): boolean {
    return this.one(name) === 'true';
  }

  set(name: string, values: readonly string[], adds: boolean): void {
    this.#values.set(name, adds ? [...this.all(name), ...values] : values);
  }
}

/** Options that need no value on the command line. */
const flags = new Set([
  'cluster-init',
  'disable-agent',
  'disable-helm-controller',
  'disable-cloud-controller',
  'disable-network-policy',
  'disable-kube-proxy',
  'disable-scheduler',
  'secrets-encryption',
  'embedded-registry',
  'debug',
  'prefer-bundled-bin',
  'with-node-id',
  'protect-kernel-defaults',
]);

const environment = { K3S_TOKEN: 'token', K3S_URL: 'server', K3S_AGENT_TOKEN: 'agent-token' } as const;

/** Options that `k3s agent` does not know: the help of 1.36.3 has them for a server alone. */
const serverOnly =
  /^(advertise-(address|port)|agent-token(-file)?|cluster-(cidr|dns|domain|init|reset.*)|datastore-.*|default-local-storage-path|disable(-(agent|scheduler|cloud-controller|kube-proxy|network-policy|helm-controller))?|egress-selector-mode|embedded-registry|etcd-.*|flannel-(backend|ipv6-masq|external-ip)|helm-.*|https-listen-port|kube-(apiserver|controller-manager|scheduler|cloud-controller-manager)-arg|secrets-encryption.*|service-(cidr|node-port-range)|servicelb-namespace|supervisor-metrics|system-default-registry|tls-san(-security)?|write-kubeconfig.*)$/;

/** The options of an agent. One that only a server knows ends it; a server reads past what it does not know. */
export function readAgentOptions(args: readonly string[]): Options {
  const options = readOptions(args);
  const wrong = options.names().find((name) => serverOnly.test(name));
  if (wrong !== undefined) throw new Failure('input', { what: `flag provided but not defined: -${wrong}` });
  return options;
}

/** Reads `config.yaml`, then `config.yaml.d/*.yaml` by name: the last one wins, `key+` adds to what was said before. */
export function readOptions(args: readonly string[]): Options {
  const given = parseArguments(args);
  const options = new Options();
  const main =
    given.find(([name]) => name === 'config' || name === 'c')?.[1] ??
    process.env['K3S_CONFIG_FILE'] ??
    '/etc/rancher/k3s/config.yaml';
  const folder = `${main}.d`;
  const more = existsSync(folder) ? readdirSync(folder).filter((name) => /\.ya?ml$/.test(name)) : [];
  for (const file of [main, ...more.sort().map((name) => join(folder, name))]) {
    if (!existsSync(file)) continue;
    const content: unknown = parse(readFileSync(file, 'utf8'));
    if (content === null) continue;
    if (typeof content !== 'object' || Array.isArray(content)) {
      throw new Failure('input', { what: 'the configuration is no list of options', where: file });
    }
    for (const [key, value] of Object.entries(content)) {
      const values = Array.isArray(value) ? value.map(String) : [String(value)];
      options.set(key.replace(/\+$/, ''), values, key.endsWith('+'));
    }
  }
  for (const [variable, name] of Object.entries(environment)) {
    const value = process.env[variable];
    if (value !== undefined && options.one(name) === undefined) options.set(name, [value], false);
  }
  const seen = new Set<string>();
  for (const [name, value] of given) {
    options.set(name, [value], seen.has(name));
    seen.add(name);
  }
  return options;
}

function parseArguments(args: readonly string[]): readonly (readonly [string, string])[] {
  const result: (readonly [string, string])[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const [, name, value] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(args[at] ?? '') ?? [];
    if (name === undefined) throw new Failure('input', { what: `not an option: ${args[at]}` });
    if (value !== undefined) result.push([name, value]);
    else if (flags.has(name)) result.push([name, 'true']);
    else {
      at += 1;
      const next = args[at];
      if (next === undefined) throw new Failure('input', { what: `flag needs an argument: -${name}` });
      result.push([name, next]);
    }
  }
  return result;
}

/** A secret given as itself or in a file. */
export function secretOf(options: Options, name: 'token' | 'agent-token'): string | undefined {
  const file = options.one(`${name}-file`);
  return options.one(name) ?? (file === undefined ? undefined : readFileSync(file, 'utf8').trim());
}

export function dataFolder(options: Options): string {
  return options.one('data-dir') ?? '/var/lib/rancher/k3s';
}

/** The node's address: `node-ip`, else nothing to go by, as k3s without a default route. */
export function nodeAddress(options: Options): string {
  const address = options.one('node-ip')?.split(',')[0];
  if (address === undefined) {
    throw new Failure('environment', { what: 'no default routes found', fix: 'give node-ip' });
  }
  return address;
}
