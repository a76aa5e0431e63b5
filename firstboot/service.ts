// The service on the device. It comes up whatever is missing, says what is, and goes on as far as it can.
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { hostname, uptime } from 'node:os';
import { join } from 'node:path';
import { appsFolder } from '../formats/app.ts';
import { type PersistLine, parsePersist } from '../formats/persist.ts';
import { type BootFacts, bootFacts } from './boot/facts.ts';
import { setHostName } from './boot/host.ts';
import type { Paths } from './boot/paths.ts';
import { dataIsUsable } from './boot/record.ts';
import { writeBack } from './boot/writeback.ts';
import { SitePart } from './formation/part.ts';
import { refuseFullData } from './guards/data.ts';
import { inOneLine } from './inoneline.ts';
import { type LanInterface, lanInterfaces } from './lan/interfaces.ts';
import { NameResponder } from './lan/mdns.ts';
import { isBack } from './slots/back.ts';
import { fillApart } from './slots/filler.ts';
import { SlotKeeper } from './slots/keeper.ts';
import { ConsoleSpeaker } from './status/console.ts';
import { type Opening, openingsIn } from './status/openings.ts';
import { plainAddress, serveOrders, servePage, serveSocket } from './status/server.ts';
import { type Facts, type Status, statusOf } from './status/status.ts';
import { renderConsoleLine } from './status/text.ts';

/** How often the interfaces are looked at, and the page is tried again where it failed, in milliseconds … */
const lookEvery = 2000;
/** … and in a cluster, where nobody waits for the next look. */
const lookCalmly = 10_000;
/** How often copied files are compared with data, in looks: once in a minute or two. */
const saveEvery = 30;
const defaultPort = 80;

export class Service {
  readonly #paths: Paths;
  readonly #boot: BootFacts;
  readonly #port: number;
  readonly #console: ConsoleSpeaker;
  /** What parts of the agent have to complain about, by part. */
  readonly #problems = new Map<string, string>();
  #interfaces: readonly LanInterface[] = [];
  #openings: readonly Opening[] = [];
  #persist: readonly PersistLine[] = [];
  #socket: Server | undefined;
  #orders: Server | undefined;
  #page: Server | undefined;
  #slots: SlotKeeper | undefined;
  #part: SitePart | undefined;
  #names: NameResponder | undefined;
  #site0: Promise<void> | undefined;
  #pageFailed = 'not yet';
  #last: Status | undefined;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  private constructor(paths: Paths, boot: BootFacts, port: number | undefined) {
    this.#paths = paths;
    this.#boot = boot;
    this.#port = port ?? ('unusable' in boot.config ? defaultPort : boot.config.port);
    this.#console = new ConsoleSpeaker(paths.consoles, paths.devices);
  }

  /** Starts the service; it runs until `stop`. `port` overrides the configuration's. Fails only without its socket. */
  static async start(paths: Paths, port?: number): Promise<Service> {
    const service = new Service(paths, await bootFacts(paths), port);
    await service.#begin();
    return service;
  }

  /** The status as of now. */
  status(): Status {
    const facts: Facts = {
      ...this.#boot,
      formation: undefined,
      k3s: undefined,
      ...this.#part?.view(),
      uptime: uptime(),
      hostName: hostname(),
      slots: this.#slots?.view(),
      interfaces: this.#interfaces,
      openings: this.#openings,
      page: this.#page === undefined ? { failed: this.#pageFailed } : { port: this.#port },
      problems: [...this.#problems.values()],
    };
    this.#last = statusOf(facts, this.#last);
    return this.#last;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
    for (const server of [this.#page, this.#socket, this.#orders]) {
      server?.close();
      server?.closeAllConnections();
    }
    this.#names?.close();
    await this.#site0;
    await this.#part?.stop();
    await this.#slots?.close();
  }

  async #begin(): Promise<void> {
    const { identity } = this.#boot;
    if (identity.known) {
      await this.#attempt('host name', () => setHostName(identity.stamp.hostname, this.#paths));
      this.#names = new NameResponder(identity.stamp.hostname);
    }
    await this.#attempt('persist list', async () => {
      this.#persist = parsePersist(await readFile(this.#paths.persist, 'utf8'), this.#paths.persist);
    });
    this.#openings = await openingsIn(join(this.#paths.root, appsFolder));
    this.#socket = await serveSocket(this.#paths.socket, () => this.status());
    this.#orders = await serveOrders(this.#paths.control, { '/resolve': () => this.#resolve() });
    this.#looking = this.#look();
    await this.#looking;
  }

  #resolve(): string {
    if (this.#part === undefined)
      return 'this device takes no part in its site yet: see edgekiln-node status\n';
    this.#part.resolve();
    return 'the device goes on: see edgekiln-node status\n';
  }

  /** One look at the world; then the next is set. */
  async #look(): Promise<void> {
    this.#interfaces = lanInterfaces(this.#paths.interfaces);
    if (this.#page === undefined) await this.#openPage();
    this.#names?.look(this.#interfaces);
    if (this.#looks % saveEvery === 0 && dataIsUsable(this.#boot.record.data.state)) {
      await this.#attempt('write back', async () => {
        for (const path of await writeBack(this.#persist, this.#paths)) console.log(`saved ${path}`);
      });
    }
    this.#looks += 1;
    await this.#attempt('data', () => refuseFullData(this.#paths.data, this.#boot.record));
    await this.#attempt('slots', () => this.#lookAtSlots());
    await this.#attempt('site', () => this.#takePart());
    await this.#console.say(renderConsoleLine(this.status()), uptime());
    if (this.#stopped) return;
    const pause = this.#part?.formed() === true ? lookCalmly : lookEvery;
    this.#timer = setTimeout(() => {
      this.#looking = this.#look();
    }, pause);
  }

  async #lookAtSlots(): Promise<void> {
    const { identity, record } = this.#boot;
    if (!identity.known || record.disk === undefined || record.slot === undefined) return;
    this.#slots ??= await SlotKeeper.open(
      this.#paths,
      join(this.#paths.root, record.disk),
      identity.stamp,
      record.slot,
      fillApart(this.#paths),
    );
    const network = this.#interfaces.some(({ carrier }) => carrier);
    const data = dataIsUsable(record.data.state);
    await this.#slots.look({
      healthy: this.status().healthy,
      network,
      // Without data it takes no part, whatever the slot is worth.
      back: !data || isBack(this.#part?.view()),
      data,
      formed: this.#part?.formed(),
      now: uptime(),
    });
  }

  /** Without good data a device takes no part: what it said yesterday would be forgotten. */
  async #takePart(): Promise<void> {
    const { identity, record, config } = this.#boot;
    if (!identity.known || 'unusable' in config || !dataIsUsable(record.data.state)) return;
    if (this.#part === undefined) {
      const part = await SitePart.open(this.#paths, config, identity.stamp);
      await this.#attempt('clock', () => part.raiseClock(this.#paths.config));
      this.#part = part;
    }
    const part = this.#part;
    part.look(this.#interfaces);
    await part.start();
    await part.keepTime();
    // It asks the LAN for seconds: the look goes on meanwhile.
    this.#site0 ??= this.#attempt('site0', () => part.lookAtSite0(this.#interfaces)).finally(() => {
      this.#site0 = undefined;
    });
  }

  async #openPage(): Promise<void> {
    try {
      this.#page = await servePage(
        this.#port,
        () => this.status(),
        (address) => this.#mayServe(address),
      );
    } catch (error) {
      this.#pageFailed = inOneLine(error);
    }
  }

  /** Loopback and the LAN; pods and tunnels have no business with the page. An address may be newer than our last look. */
  #mayServe(address: string): boolean {
    if (address === '::1' || address.startsWith('127.')) return true;
    return lanInterfaces(this.#paths.interfaces).some(({ addresses }) =>
      addresses.some((one) => plainAddress(one.address) === address),
    );
  }

  /** A part that fails becomes a problem of the status; when it works again the problem is gone. */
  async #attempt(part: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#problems.delete(part);
    } catch (error) {
      const problem = `${part}: ${inOneLine(error)}`;
      if (this.#problems.get(part) !== problem) console.error(problem);
      this.#problems.set(part, problem);
    }
  }
}
