// `site0`: the device's address that needs neither DHCP nor a route. A macvlan beside the LAN interface with the
// address of its place; or that address on the LAN interface itself, where a port allows only one MAC.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LanInterface } from './interfaces.ts';

export interface Site0Settings {
  readonly mode: 'macvlan' | 'address';
  /** Without its prefix length, which is 24. */
  readonly address: string;
  /** Patterns of the LAN interface, as systemd.network has them, parted by blanks. */
  readonly match: string;
  /** What the MAC of the macvlan is made of: the same over restarts, another on every device. */
  readonly seed: string;
}

/** Runs `ip` or `busybox` with arguments; fails where it ends with other than 0. */
export type RunProgram = (name: 'ip' | 'busybox', args: readonly string[]) => Promise<unknown>;

/** Milliseconds between two questions whether another device has the address. */
const askEvery = 300_000;
/** The same while another has it. */
const askAgain = 30_000;

/** Brings site0 up, keeps it up, and watches for another device with its address. */
export class Site0 {
  readonly #settings: Site0Settings;
  readonly #root: string;
  readonly #run: RunProgram;
  #parent: string | undefined;
  /** The parent that site0 was seen to lie on. */
  #on: string | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  #conflict = false;
  #up = false;

  /** `root` is `/` on a device. */
  constructor(settings: Site0Settings, root: string, run: RunProgram) {
    this.#settings = settings;
    this.#root = root;
    this.#run = run;
  }

  /** The interface that k3s binds to, once it carries the address. */
  get interface(): string | undefined {
    if (!this.#up) return undefined;
    return this.#settings.mode === 'macvlan' ? 'site0' : this.#parent;
  }

  /** Looks and mends; fails with what is wrong. `now` is monotonic, in milliseconds. */
  async look(interfaces: readonly LanInterface[], now: number): Promise<void> {
    const { address } = this.#settings;
    this.#parent = chooseParent(interfaces, this.#settings.match, this.#parent);
    const parent = this.#parent;
    if (parent === undefined) {
      this.#up = false;
      return; // the status says that there is no interface, or no link
    }
    const name = this.#settings.mode === 'macvlan' ? 'site0' : parent;
    const carries = interfaces.some(
      (one) => one.name === name && one.addresses.some((a) => a.address === address),
    );
    // A macvlan keeps its address on an interface whose cable was pulled.
    const has =
      carries && (name === parent || this.#on === parent || (await this.#liesOn(name, parent)) === true);
    const due = now - this.#askedAt >= (this.#conflict ? askAgain : askEvery);
    if (has) this.#on = parent;
    if (has && !due) {
      this.#up = true;
      return;
    }
    if (!has && this.#conflict && !due) throw this.#taken();
    if (!has) await this.#leaveOthers(interfaces, name);
    if (!has) await this.#prepare(parent, name);
    this.#askedAt = now;
    this.#conflict = await this.#isTaken(name);
    // An address that is in use here is kept: two halves of a cluster without one are worse than an alarm.
    if (!has && !this.#conflict) {
      await this.#run('ip', ['address', 'replace', `${address}/24`, 'dev', name]);
      // Others may still send to the interface that had it: another MAC, for up to a minute.
      if (name === parent) await this.#run('busybox', ['arping', '-U', '-q', '-c', '1', '-I', name, address]);
    }
    this.#up = has || !this.#conflict;
    if (this.#conflict) throw this.#taken();
  }

  #taken(): Error {
    const { address } = this.#settings;
    return new Error(
      `another device on this LAN has the address ${address}: two sites with the same network.siteSubnet, or a board in use twice; part them, or give one site another subnet`,
    );
  }

  /**
   * The cable is in another interface now: an address on both would be looked for on the dead one. All others are told
   * to leave it: the addresses of one without a link are not among those that Node shows.
   */
  async #leaveOthers(interfaces: readonly LanInterface[], name: string): Promise<void> {
    const { address, mode } = this.#settings;
    if (mode === 'macvlan') return; // there the old one goes with the link
    for (const other of interfaces) {
      if (other.name === name) continue;
      await this.#run('ip', ['address', 'flush', 'dev', other.name, 'to', `${address}/32`]);
    }
  }

  async #prepare(parent: string, name: string): Promise<void> {
    const lies = name === parent ? true : await this.#liesOn(name, parent);
    if (lies === false) await this.#run('ip', ['link', 'delete', name]);
    if (lies !== true) {
      await this.#run('ip', [
        ...['link', 'add', 'link', parent, 'name', name, 'address', macOf(this.#settings.seed)],
        ...['type', 'macvlan', 'mode', 'bridge'],
      ]);
    }
    // Without these the parent answers for the address of the macvlan, with its own MAC.
    for (const one of new Set([parent, name])) {
      await writeFile(this.#control(one, 'arp_ignore'), '1');
      await writeFile(this.#control(one, 'arp_announce'), '2');
    }
    await writeFile(this.#control(name, 'arp_notify'), '1');
    await this.#run('ip', ['link', 'set', name, 'up']);
  }

  /** Whether the macvlan lies on this parent; undefined where there is none. */
  async #liesOn(name: string, parent: string): Promise<boolean | undefined> {
    const number = (of: string, file: string): Promise<string | undefined> =>
      readFile(join(this.#root, 'sys/class/net', of, file), 'latin1').catch(() => undefined);
    const link = await number(name, 'iflink');
    return link === undefined ? undefined : link === (await number(parent, 'ifindex'));
  }

  /** Asks by ARP, as one who has no address yet (RFC 5227); busybox is in every slot. */
  async #isTaken(name: string): Promise<boolean> {
    try {
      await this.#run('busybox', [
        'arping',
        '-D',
        '-q',
        '-c',
        '2',
        '-w',
        '2',
        '-I',
        name,
        this.#settings.address,
      ]);
      return false;
    } catch (error) {
      if (isAnswer(error)) return true;
      throw error;
    }
  }

  #control(name: string, key: string): string {
    return join(this.#root, 'proc/sys/net/ipv4/conf', name, key);
  }
}

/** arping ends with 1 where somebody answered, and with 2 where it could not ask: no such interface, or one that is down. */
function isAnswer(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null && 'exitCode' in cause && cause.exitCode === 1;
}

/** The interface it lies on: the one it had while that has a link, else the first with a link, else the first. */
function chooseParent(
  interfaces: readonly LanInterface[],
  match: string,
  before: string | undefined,
): string | undefined {
  const patterns = match.split(/\s+/).filter(Boolean).map(patternOf);
  const fit = interfaces.filter(({ name }) => name !== 'site0' && patterns.some((one) => one.test(name)));
  const linked = fit.filter(({ carrier }) => carrier);
  const kept = (linked.length > 0 ? linked : fit).find(({ name }) => name === before);
  return (kept ?? linked[0] ?? fit[0])?.name;
}

function patternOf(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}

/** A locally administered MAC. */
function macOf(seed: string): string {
  const bytes = createHash('sha256').update(`edgekiln site0 ${seed}`).digest().subarray(0, 5);
  return ['02', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
