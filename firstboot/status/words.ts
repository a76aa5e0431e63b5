// A status in words: the lines that text, page and console share.
import { otherSlot } from '../../formats/bootstate.ts';
import { phaseWords, siteRows } from './site.ts';
import { dataWords, type Status } from './status.ts';

/** How long, for people: `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes === 0) return `${whole} s`;
  if (hours === 0) return `${minutes} min`;
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return hours % 24 === 0 ? `${hours / 24} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Who it is: `shop-01 (place 1 of quickstart)`. */
export function whoIs(status: Status): string {
  return `${status.name} (${placeWords(status)})`;
}

/** Its place: `place 1 of quickstart`. */
export function placeWords({ place, site }: Status): string {
  if (place !== null) return `place ${place} of ${site}`;
  return site === null ? 'no place' : `no place in ${site}`;
}

/** What it is doing, one sentence. */
export function doing({ phase, healthy, formation }: Status): string {
  if (!healthy) return 'The agent of this device is not healthy.';
  if (phase !== 'held' && formation !== null) return phaseWords[formation.phase];
  switch (phase) {
    case 'held':
      return 'This device is on hold: it neither votes, founds nor joins.';
    case 'waiting':
      return 'This device is up and waits.';
    case 'idle':
      return 'This device is up, waits for nothing and is in no cluster.';
  }
}

/** Both slots, the running one first: `A, good; B is being filled (40 %)`. */
function slotWords({ slot }: Status): string {
  if (slot.current === null) return 'not known';
  const other = otherSlot(slot.current);
  const running = `${slot.current.toUpperCase()}, ${slot.state ?? 'state not known'}`;
  if (slot.filling !== null) {
    const percent = Math.floor((100 * slot.filling.done) / Math.max(1, slot.filling.total));
    return `${running}; ${other.toUpperCase()} is being filled (${percent} %)`;
  }
  const state = slot[other];
  return state === null
    ? running
    : `${running}; ${other.toUpperCase()} is ${state === 'bad' ? 'empty or bad' : state}`;
}

/** What to open to reach each app: `192.168.1.20:30080, or that port of any board`. */
function appRows({ apps, urls }: Status): readonly (readonly [name: string, value: string])[] {
  const own = /^https?:\/\/(\[[^\]]+\]|[^:/]+)/.exec(urls[0] ?? '')?.[1];
  return apps.map(({ app, port, protocol, board }) => {
    const where =
      board === 'its own' || own === undefined
        ? `port ${port} of ${board === 'every' ? 'any board' : 'the board that runs it'}`
        : `${own}:${port}, or that port of any board`;
    return [`app ${app}`, protocol === 'TCP' ? where : `${where} (${protocol})`] as const;
  });
}

/** What the two columns of text and page show, in order. */
export function table(status: Status): readonly (readonly [name: string, value: string])[] {
  const { versions, data } = status;
  return [
    ['site', status.site ?? 'not known'],
    ['place', status.place === null ? 'none' : String(status.place)],
    ...(status.formation === null ? [] : siteRows(status.formation, status.k3s ?? undefined)),
    ...appRows(status),
    ['slot', slotWords(status)],
    ['data', data.detail === '' ? dataWords[data.state] : `${data.state}: ${data.detail}`],
    ...status.interfaces.map(
      ({ name, carrier, addresses }) =>
        [
          name,
          carrier ? addresses.map(({ address }) => address).join(', ') || 'no address' : 'no link',
        ] as const,
    ),
    ['edgekiln', versions.edgekiln ?? 'not known'],
    ['system', versions.os],
    ['kernel', versions.kernel],
    ['k3s', versions.k3s === null ? 'none' : `${versions.k3s}${status.demo ? ' — DEMO' : ''}`],
    ['up for', duration(status.uptime)],
  ];
}

/** What DEMO means, for those who meet it. */
export const demoWords = 'DEMO: k3s in this image is a stand-in. This is not a real cluster.';
