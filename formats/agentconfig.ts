// agent.json: what an image tells its agent that is the same on every device of a site. The builder writes it into
// the slot, the agent reads it; what differs from device to device is in the stamp.
import { Failure } from './errors.ts';
import { isRecord, parseJson } from './json.ts';

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
  const wrong = (why: string): Failure =>
    new Failure('input', {
      what: 'the configuration of the agent cannot be used',
      where: file,
      why,
      fix: 'it is part of the image: build it again',
    });
  const value = parseJson(text);
  if (!isRecord(value)) throw wrong('it is not a JSON object');
  const { version, site, edgekiln, k3s, port } = value;
  if (version !== 1) throw wrong(`its version is ${JSON.stringify(version)}, this agent knows 1`);
  if (typeof site !== 'string' || site === '') throw wrong('site is not a name');
  if (typeof edgekiln !== 'string') throw wrong('edgekiln is not a version');
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw wrong('port is not from 1 to 65535');
  }
  if (k3s === undefined) return { version, site, edgekiln, port };
  if (!isRecord(k3s) || typeof k3s['version'] !== 'string' || typeof k3s['standIn'] !== 'boolean') {
    throw wrong('k3s is not {version, standIn}');
  }
  return { version, site, edgekiln, port, k3s: { version: k3s['version'], standIn: k3s['standIn'] } };
}
