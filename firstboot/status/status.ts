// What the device says of itself: facts in, one versioned `Status` out. Pure; the renderings are beside.
import type { AgentConfig } from '../../formats/agentconfig.ts';
import { otherSlot, type SlotName, type SlotState } from '../../formats/bootstate.ts';
import type { Identity } from '../boot/identity.ts';
import { type BootRecord, type DataState, dataIsUsable } from '../boot/record.ts';
import type { ClusterStatus } from '../formation/cluster.ts';
import type { FormationView } from '../formation/view.ts';
import type { LanInterface } from '../lan/interfaces.ts';
import type { SlotView } from '../slots/keeper.ts';
import { type Setback, setbackWords } from '../slots/memory.ts';
import type { Opening } from './openings.ts';
import { alarmLines, siteWait } from './site.ts';

/** Everything a status is made of. What is undefined could not be found out. */
export interface Facts {
  /** Seconds since the kernel started; no wall clock is asked. */
  readonly uptime: number;
  readonly config: AgentConfig | { readonly unusable: string };
  readonly record: BootRecord;
  readonly identity: Identity;
  /** The kernel's host name. */
  readonly hostName: string;
  /** Undefined when the disk's boot state could not be looked at. */
  readonly slots: SlotView | undefined;
  readonly interfaces: readonly LanInterface[];
  /** Undefined while the device takes no part. */
  readonly formation: FormationView | undefined;
  readonly k3s: ClusterStatus | undefined;
  readonly os: string;
  readonly kernel: string;
  /** The port the page is served on, or why it is not. */
  readonly page: { readonly port: number } | { readonly failed: string };
  readonly openings: readonly Opening[];
  /** What other parts of the agent have to report. */
  readonly problems: readonly string[];
}

/** Something the device cannot go on without, and since when. */
export interface Wait {
  readonly id: 'stamp' | 'data' | 'interface' | 'link' | 'address' | `site ${string}`;
  readonly what: string;
  /** Seconds after the kernel started. */
  readonly since: number;
}

/** The versioned status of a device, as `status.json` and `edgekiln-node status --json` give it. Holds no secret. */
export interface Status {
  readonly version: 1;
  /** The agent works: configuration read, page served. Not the network, the data or the cluster. */
  readonly healthy: boolean;
  readonly name: string;
  readonly place: number | null;
  readonly site: string | null;
  /** k3s is the stand-in: nothing here is a real cluster. */
  readonly demo: boolean;
  readonly role: 'none' | 'server' | 'agent';
  /** `held`: it has no identity or no data, so it neither votes, founds nor joins. */
  readonly phase: 'held' | 'waiting' | 'idle';
  readonly uptime: number;
  readonly slot: {
    readonly current: SlotName | null;
    /** State of the slot that runs. */
    readonly state: SlotState | null;
    /** The boot state in force: its number, the slot it boots next, attempts left, and both slots' states. */
    readonly seq: number | null;
    readonly primary: SlotName | null;
    readonly left: number | null;
    readonly a: SlotState | null;
    readonly b: SlotState | null;
    /** While the other slot is filled: bytes done, of how many. */
    readonly filling: { readonly done: number; readonly total: number } | null;
    /** A slot that was given up after its trial, or left after nine starts in vain; until it is tried anew. */
    readonly setback: Setback | null;
  };
  readonly data: { readonly state: DataState; readonly usable: boolean; readonly detail: string };
  readonly interfaces: readonly LanInterface[];
  /** How far the site has come, as this device sees it; null while it takes no part. */
  readonly formation: FormationView | null;
  readonly k3s: ClusterStatus | null;
  /** Where the page can be opened. */
  readonly urls: readonly string[];
  /** Ports that lead to the apps of the image, from the LAN. */
  readonly apps: readonly Opening[];
  readonly versions: {
    readonly edgekiln: string | null;
    readonly os: string;
    readonly kernel: string;
    readonly k3s: string | null;
  };
  readonly waitsFor: readonly Wait[];
  readonly problems: readonly string[];
}

/** The status for these facts. `before` is the last one: what is still waited for keeps its `since`. */
export function statusOf(facts: Facts, before?: Status): Status {
  const { identity, record } = facts;
  const config = 'unusable' in facts.config ? undefined : facts.config;
  const stamp = identity.known ? identity.stamp : undefined;
  const usable = dataIsUsable(record.data.state);
  const waitsFor = waits(facts).map((wait) => ({
    ...wait,
    since: before?.waitsFor.find(({ id }) => id === wait.id)?.since ?? facts.uptime,
  }));
  return {
    version: 1,
    healthy: config !== undefined && 'port' in facts.page,
    name: stamp?.hostname ?? facts.hostName,
    place: stamp?.place ?? null,
    site: stamp?.site ?? config?.site ?? null,
    demo: config?.k3s?.standIn ?? false,
    role: facts.formation?.role ?? 'none',
    phase: !identity.known || !usable ? 'held' : waitsFor.length > 0 ? 'waiting' : 'idle',
    uptime: facts.uptime,
    slot: slotOf(facts),
    data: { ...record.data, usable },
    interfaces: facts.interfaces,
    formation: facts.formation ?? null,
    k3s: facts.k3s ?? null,
    urls: 'port' in facts.page ? urls(facts.interfaces, facts.page.port) : [],
    apps: facts.openings,
    versions: {
      edgekiln: config?.edgekiln ?? null,
      os: facts.os,
      kernel: facts.kernel,
      k3s: config?.k3s?.version ?? null,
    },
    waitsFor,
    problems: problems(facts),
  };
}

function slotOf({ record, slots }: Facts): Status['slot'] {
  const { state, filling, setback } = slots ?? {};
  return {
    current: record.slot ?? null,
    state: (record.slot === undefined ? undefined : state?.[record.slot]) ?? null,
    seq: state?.seq ?? record.seq ?? null,
    primary: state?.primary ?? null,
    left: state?.left ?? null,
    a: state?.a ?? null,
    b: state?.b ?? null,
    filling: filling ?? null,
    setback: setback ?? null,
  };
}

function waits({ identity, record, formation, k3s, ...facts }: Facts): Omit<Wait, 'since'>[] {
  const list: Omit<Wait, 'since'>[] = [];
  if (!identity.known)
    list.push({ id: 'stamp', what: 'a person to flash it again: it does not know who it is' });
  if (!dataIsUsable(record.data.state)) {
    list.push({ id: 'data', what: `a person to see to its data partition: ${dataWords[record.data.state]}` });
  }
  const interfaces = facts.interfaces.filter(({ name }) => name !== 'site0');
  const linked = interfaces.filter(({ carrier }) => carrier);
  if (interfaces.length === 0) list.push({ id: 'interface', what: 'a network interface' });
  else if (linked.length === 0) {
    list.push({ id: 'link', what: `a network cable in ${interfaces.map(({ name }) => name).join(' or ')}` });
  } else if (
    formation === undefined &&
    !linked.some(({ addresses }) => addresses.some(({ linkLocal }) => !linkLocal))
  ) {
    list.push({ id: 'address', what: `an address on ${linked.map(({ name }) => name).join(' or ')} (DHCP)` });
  }
  const wait = formation === undefined ? undefined : siteWait(formation, k3s);
  if (formation !== undefined && wait !== undefined) list.push({ id: `site ${formation.phase}`, what: wait });
  return list;
}

/** What the state of the data partition means, in words. */
export const dataWords: Readonly<Record<DataState, string>> = {
  mounted: 'mounted',
  created: 'made on this boot',
  repaired: 'repaired on this boot',
  missing: 'there is none',
  full: 'it is full',
  corrupt: 'it is damaged and could not be repaired',
  readonly: 'it can only be read',
  foreign: 'it belongs to another flash of this disk',
};

/** What the boot state says of a slot that should run and does not. */
function slotProblem({ record: { slot: running }, slots }: Facts): string | undefined {
  const state = slots?.state;
  if (state === undefined || running === undefined) return undefined;
  const other = otherSlot(running);
  if (running === state.primary)
    return state[other] === 'trial'
      ? `slot ${other.toUpperCase()} is on trial and was put off: it saw no network`
      : undefined;
  // A trial may wait for its turn.
  if (state.a !== 'good' || state.b !== 'good') return undefined;
  // Its kernel or initrd cannot be read.
  return `slot ${other.toUpperCase()} was to be started and could not be: slot ${running.toUpperCase()} runs`;
}

function problems(facts: Facts): string[] {
  const { config, identity, record, page, formation, k3s, problems } = facts;
  const list: string[] = [];
  if ('unusable' in config) list.push(config.unusable);
  if (!identity.known) list.push(identity.why);
  if (!dataIsUsable(record.data.state)) {
    const { state, detail } = record.data;
    list.push(
      `data is ${state}: ${detail === '' ? dataWords[state] : detail}; so it neither votes, founds nor joins`,
    );
  }
  const slot = slotProblem(facts);
  if (slot !== undefined) list.push(slot);
  if (facts.slots?.setback !== undefined) list.push(setbackWords(facts.slots.setback));
  if ('failed' in page) list.push(`the status page is not served: ${page.failed}`);
  if (formation !== undefined) list.push(...alarmLines(formation));
  return [...list, ...(k3s?.problems ?? []), ...record.problems, ...problems];
}

/** Addresses people can type: IPv4 first. Link-local ones need a zone that browsers do not take, site0's a route. */
function urls(interfaces: readonly LanInterface[], port: number): string[] {
  const reachable = interfaces.filter(({ name }) => name !== 'site0');
  const addresses = reachable.flatMap((one) => one.addresses).filter(({ linkLocal }) => !linkLocal);
  const behind = port === 80 ? '/' : `:${port}/`;
  return [
    ...addresses.filter(({ family }) => family === 4).map(({ address }) => `http://${address}${behind}`),
    ...addresses.filter(({ family }) => family === 6).map(({ address }) => `http://[${address}]${behind}`),
  ];
}
