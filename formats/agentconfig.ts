// agent.json: what an image tells its agent that is the same on every device of a site. The builder writes it into
// the slot, the agent reads it; what differs from device to device is in the stamp. Fields came over time: those that
// may be missing have defaults at their readers.
import { Failure } from './errors.ts';
import { isRecord, parseJson } from './json.ts';

/** The value of an option of k3s, as in its config.yaml. */
export type K3sSetting = string | number | boolean | readonly (string | number | boolean)[];

/**
 * Options of k3s that hold where a profile does not name them: what a small site does without, since each costs memory
 * on every server. One that a profile names is taken as it is there, so its `disable` is the whole list.
 */
export const k3sDefaults: Readonly<Record<string, K3sSetting>> = {
  disable: ['traefik', 'servicelb', 'metrics-server', 'local-storage'],
  'disable-helm-controller': true,
  'disable-cloud-controller': true,
};

/** The wired interfaces of a device, as systemd.network matches them: what may be its LAN where nobody says otherwise. */
export const wiredInterfaces = 'en* eth*';

export interface AgentConfig {
  readonly version: 1;
  readonly site: string;
  /** Version of edgekiln that built the image. */
  readonly edgekiln: string;
  /** The k3s in the slot; absent in an image without one. */
  readonly k3s?: {
    readonly version: string;
    /** The stand-in is a demonstration: everything that shows it says DEMO. */
    readonly standIn: boolean;
    /** Options for config.yaml of k3s: none of them insecure, none of them the agent's. */
    readonly config?: Readonly<Record<string, K3sSetting>>;
  };
  readonly servers?: {
    /** Servers to aim at; left out: 3 where three devices may become one, else 1. */
    readonly count?: 1 | 3 | 5;
    /** Eligible devices that must be there before more than one becomes a server. */
    readonly promoteAt: 3 | 4;
    /** Minutes that a server is dead before another device takes its part. */
    readonly replaceAfter: number;
  };
  readonly network?: {
    /** IPv4 networks as `a.b.c.d/n`. */
    readonly podCidr: string;
    readonly serviceCidr: string;
    readonly siteInterface: 'macvlan' | 'address';
  };
  /** Names of interfaces that may be the LAN, as systemd.network matches them, parted by blanks. */
  readonly lan?: { readonly interface: string };
  /** What the nodes of devices carry, by host name; those without either are left out. Taints are `KEY=VALUE:EFFECT`. */
  readonly nodes?: Readonly<
    Record<string, { readonly labels: Readonly<Record<string, string>>; readonly taints: readonly string[] }>
  >;
  readonly limits?: {
    /** Bytes of one log file, and how many a container keeps. */
    readonly containerLogs: { readonly size: number; readonly files: number };
    /** Percent of the data partition at which removing unused images starts and ends. */
    readonly images: { readonly high: number; readonly low: number };
  };
  /** Port of the status page. */
  readonly port: number;
}

/** Where the configuration is on a device. */
export const agentConfigFile = '/etc/edgekiln/agent.json';

/** The public key of the site, PEM: what signs stamps, rosters and bundles. */
export const siteKeyFile = '/etc/edgekiln/site.pub';

export function renderAgentConfig(config: AgentConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Reads agent.json; an `input` failure says what is wrong. Unknown fields are left alone: older agents read newer images. */
export function parseAgentConfig(text: string, file = agentConfigFile): AgentConfig {
  try {
    return configOf(parseJson(text));
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new Failure('input', {
      what: 'the configuration of the agent cannot be used',
      where: file,
      why: error.message,
      fix: 'it is part of the image: build it again',
    });
  }
}

/** What is wrong, in words; given its place by `parseAgentConfig`. */
class Wrong extends Error {}

function configOf(value: unknown): AgentConfig {
  if (!isRecord(value)) throw new Wrong('it is not a JSON object');
  const { version, site, edgekiln, port } = value;
  if (version !== 1) throw new Wrong(`its version is ${JSON.stringify(version)}, this agent knows 1`);
  if (typeof site !== 'string' || site === '') throw new Wrong('site is not a name');
  if (typeof edgekiln !== 'string') throw new Wrong('edgekiln is not a version');
  if (!isNumber(port, 1, 65535)) throw new Wrong('port is not from 1 to 65535');
  return {
    ...{ version, site, edgekiln, port },
    ...part(value, 'k3s', k3sOf, '{version, standIn}'),
    ...part(value, 'servers', serversOf, '{count, promoteAt, replaceAfter}'),
    ...part(value, 'network', networkOf, '{podCidr, serviceCidr, siteInterface}'),
    ...part(value, 'lan', lanOf, '{interface}'),
    ...part(value, 'nodes', nodesOf, 'labels and taints by device'),
    ...part(value, 'limits', limitsOf, '{containerLogs, images}'),
  };
}

/** A field that may be missing; `read` gives undefined for what has another form than `form`. */
function part<Key extends string, T>(
  config: Readonly<Record<string, unknown>>,
  key: Key,
  read: (value: Readonly<Record<string, unknown>>) => T | undefined,
  form: string,
): { readonly [K in Key]?: T } {
  const value = config[key];
  if (value === undefined) return {};
  const found = isRecord(value) ? read(value) : undefined;
  if (found === undefined) throw new Wrong(`${key} is not ${form}`);
  const pairs: { [K in Key]?: T } = {};
  pairs[key] = found;
  return pairs;
}

type Parts = Required<AgentConfig>;
type Given = Readonly<Record<string, unknown>>;

function k3sOf({ version, standIn, config }: Given): Parts['k3s'] | undefined {
  if (typeof version !== 'string' || typeof standIn !== 'boolean') return undefined;
  if (config === undefined) return { version, standIn };
  return isMap(config, isSetting) ? { version, standIn, config } : undefined;
}

function serversOf({ count, promoteAt, replaceAfter }: Given): Parts['servers'] | undefined {
  if (promoteAt !== 3 && promoteAt !== 4) return undefined;
  if (!isNumber(replaceAfter, 1, 100_000)) return undefined;
  if (count === undefined) return { promoteAt, replaceAfter };
  return count === 1 || count === 3 || count === 5 ? { count, promoteAt, replaceAfter } : undefined;
}

function networkOf({ podCidr, serviceCidr, siteInterface }: Given): Parts['network'] | undefined {
  if (typeof podCidr !== 'string' || typeof serviceCidr !== 'string') return undefined;
  if (siteInterface !== 'macvlan' && siteInterface !== 'address') return undefined;
  return { podCidr, serviceCidr, siteInterface };
}

function lanOf({ interface: names }: Given): Parts['lan'] | undefined {
  return typeof names === 'string' && names !== '' ? { interface: names } : undefined;
}

function nodesOf(nodes: Given): Parts['nodes'] | undefined {
  const found: Record<string, Parts['nodes'][string]> = {};
  for (const [device, node] of Object.entries(nodes)) {
    if (!isRecord(node)) return undefined;
    const { labels, taints } = node;
    if (!isMap(labels, isText) || !isList(taints, isText)) return undefined;
    found[device] = { labels, taints };
  }
  return found;
}

function limitsOf({ containerLogs: logs, images }: Given): Parts['limits'] | undefined {
  if (!isRecord(logs) || !isRecord(images)) return undefined;
  const { size, files } = logs;
  const { high, low } = images;
  if (!isNumber(size, 1, Number.MAX_SAFE_INTEGER) || !isNumber(files, 1, 1000)) return undefined;
  if (!isNumber(high, 1, 100) || !isNumber(low, 0, high)) return undefined;
  return { containerLogs: { size, files }, images: { high, low } };
}

function isNumber(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function isSetting(value: unknown): value is K3sSetting {
  return isPlain(value) || isList(value, isPlain);
}

function isList<T>(value: unknown, of: (item: unknown) => item is T): value is T[] {
  return Array.isArray(value) && value.every(of);
}

function isMap<T>(value: unknown, of: (item: unknown) => item is T): value is Readonly<Record<string, T>> {
  return isRecord(value) && Object.values(value).every(of);
}
