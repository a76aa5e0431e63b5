// The switch itself: which ports a frame goes to, and when. Knows no socket, clock or chance of its own.
import { headerOf, isDhcpAnswer, isLinkConstrained } from './ethernet.ts';
import { addUp, type Fault } from './fault.ts';
import type { Random } from './random.ts';

/** A port's name; `everyPort` stands for all of them in a fault. */
export const everyPort = '*';

/** Real switches forget an address after five minutes of silence (IEEE 802.1D 7.9.2). */
const ageingTime = 300_000;

interface Port {
  /** When it starts to forward, ms: its coming up, plus the silence of a spanning tree. */
  readonly forwardsFrom: number;
  /** DHCP servers behind it are not heard ("DHCP snooping" of real switches). */
  readonly noDhcpServer: boolean;
}

/** All a switch remembers. Times are milliseconds of any clock that never goes back. */
export interface Fabric {
  readonly ports: Map<string, Port>;
  /** Where an Ethernet address was last seen. */
  readonly learned: Map<string, { port: string; at: number }>;
  /** Faults by direction. */
  readonly faults: Map<string, Fault>;
}

export interface Delivery {
  readonly port: string;
  readonly frame: Buffer;
  /** When it arrives, ms. */
  readonly at: number;
}

export function newFabric(): Fabric {
  return { ports: new Map(), learned: new Map(), faults: new Map() };
}

/** A cable is plugged in. `silence`: how long a spanning tree keeps the port from forwarding, ms (2 × 15 s in the field). */
export function portUp(
  fabric: Fabric,
  port: string,
  now: number,
  options: { silence?: number; noDhcpServer?: boolean } = {},
): void {
  fabric.ports.set(port, {
    forwardsFrom: now + (options.silence ?? 0),
    noDhcpServer: options.noDhcpServer ?? false,
  });
}

/** A cable is pulled: what was learned there is forgotten. */
export function portDown(fabric: Fabric, port: string): void {
  fabric.ports.delete(port);
  for (const [address, seen] of fabric.learned) if (seen.port === port) fabric.learned.delete(address);
}

/** Sets the faults from one port to another, either may be `everyPort`; a fault without a field heals. */
export function setFault(fabric: Fabric, from: string, to: string, fault: Fault): void {
  if (Object.values(fault).some((value) => value !== undefined && value !== false && value !== 0)) {
    fabric.faults.set(direction(from, to), fault);
  } else {
    fabric.faults.delete(direction(from, to));
  }
}

/** Takes away the faults between two ports, those of one port, or all, in both directions. */
export function heal(fabric: Fabric, one?: string, other?: string): void {
  for (const way of fabric.faults.keys()) {
    const ends = way.split('>');
    if ((one === undefined || ends.includes(one)) && (other === undefined || ends.includes(other))) {
      fabric.faults.delete(way);
    }
  }
}

/** Forwards one frame that arrived at `port`. Changes what is learned, nothing else. */
export function forward(
  fabric: Fabric,
  port: string,
  frame: Buffer,
  now: number,
  random: Random,
): readonly Delivery[] {
  const header = headerOf(frame);
  const arrival = fabric.ports.get(port);
  if (header === undefined || arrival === undefined || now < arrival.forwardsFrom) return [];
  fabric.learned.set(header.source, { port, at: now });
  if (isLinkConstrained(header.destination)) return [];
  if (arrival.noDhcpServer && isDhcpAnswer(frame)) return [];

  const known = header.group ? undefined : fabric.learned.get(header.destination);
  const fresh = known !== undefined && now - known.at < ageingTime ? known.port : undefined;
  const deliveries: Delivery[] = [];
  for (const [to, leaving] of fabric.ports) {
    if (to === port || (fresh !== undefined && to !== fresh) || now < leaving.forwardsFrom) continue;
    const trouble = troubleBetween(fabric, port, to);
    if (trouble.cut) continue;
    const copies = 1 + (happens(trouble.duplicate, random) ? 1 : 0);
    for (let copy = 0; copy < copies; copy++) {
      if (happens(trouble.lose, random)) continue;
      const late = trouble.delay + (trouble.jitter === 0 ? 0 : trouble.jitter * random());
      deliveries.push({ port: to, frame, at: now + late });
    }
  }
  return deliveries;
}

function troubleBetween(fabric: Fabric, from: string, to: string) {
  return addUp([
    fabric.faults.get(direction(from, to)),
    fabric.faults.get(direction(from, everyPort)),
    fabric.faults.get(direction(everyPort, to)),
    fabric.faults.get(direction(everyPort, everyPort)),
  ]);
}

/** Chance is only drawn where there is one, so that a fault elsewhere does not change what happens here. */
function happens(chance: number, random: Random): boolean {
  return chance > 0 && random() < chance;
}

function direction(from: string, to: string): string {
  return `${from}>${to}`;
}
