// Where the power is cut in a device's life: instants, the lives made of them, and what one cut was found to have hit.
import { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BootState, filled } from '../../formats/bootstate.ts';
import type { Extent, Stamp } from '../../formats/stamp.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import type { Lost } from '../../lab/qemu/nbd/write-cache.ts';
import type { Random } from '../../lab/switch/random.ts';
import type { Kept } from './kept.ts';
import { contentOf, digestOfB, readState, writeState } from './medium.ts';
import { healthy, logIn } from './site.ts';

/** The host may have other work: emulated machines take many times longer then, and a slow one is no brick. */
export const patience = 900_000;

/** When a cut is due: behind something, by the clock or with a write. */
export interface Instant {
  readonly name: string;
  /**
   * What the console shows first; `power`: nothing; `up`: the agent is healthy; `shell`: files are looked at and, until
   * the cut, written; `confirmed`: the agent has said that the slot is confirmed.
   */
  readonly behind: RegExp | 'power' | 'up' | 'shell' | 'confirmed';
  /** The cut falls with one of the first `most` writes to this part of the disk, else so many seconds later at most. */
  readonly at: { readonly write: Part; readonly most: number } | { readonly within: number };
  /** Slot B is on trial at this boot, as after an update. */
  readonly trial?: true;
}

/** Bytes of the lab's disks, and of a partition table on either end, more or less. */
const diskSize = 8 * 1024 ** 3;
const tableSize = 32 * 1024;

type Part = 'partition table' | 'boot state' | 'slot b' | 'anything';

const making = /edgekiln: making data/;
const chosen = /edgekiln: slot [ab][\r\n]/;

/** As flashed: data is made, slot B is filled. */
const fresh: readonly Instant[] = [
  {
    name: 'growing the table',
    behind: /edgekiln: the partition table grows/,
    at: { write: 'partition table', most: 3 },
  },
  { name: 'making data', behind: making, at: { write: 'anything', most: 40 } },
  { name: 'making data again', behind: making, at: { within: 4 } },
  { name: 'first boot', behind: making, at: { within: 20 } },
  { name: 'counting an attempt', behind: 'power', at: { write: 'boot state', most: 2 } },
  { name: 'a boot', behind: chosen, at: { within: 20 } },
  // Before slot B is filled: the kernel then writes everything else as well, also what nobody synced.
  { name: 'the first word', behind: 'up', at: { within: 2 } },
  // Before anything else that gets as far as the agent's work: not much of slot B is left to fill.
  { name: 'filling slot B', behind: 'up', at: { write: 'slot b', most: 3 } },
  { name: 'the first minute', behind: 'shell', at: { within: 3 } },
  { name: 'filling slot B, files written', behind: 'shell', at: { within: 15 } },
  { name: 'giving attempts back', behind: 'up', at: { write: 'boot state', most: 1 } },
];

/** An update, tried and confirmed; the first time on a device as flashed. */
const updated: readonly Instant[] = [
  { name: 'counting a trial', behind: 'power', at: { write: 'boot state', most: 2 }, trial: true },
  { name: 'trial boot', behind: chosen, at: { within: 20 }, trial: true },
  { name: 'confirming', behind: 'up', at: { write: 'boot state', most: 1 }, trial: true },
  { name: 'confirmed', behind: 'confirmed', at: { within: 0 }, trial: true },
  { name: 'counting an attempt', behind: 'power', at: { write: 'boot state', most: 2 } },
  { name: 'trial boot', behind: chosen, at: { within: 20 }, trial: true },
  { name: 'around the confirmation', behind: 'up', at: { within: 10 }, trial: true },
  { name: 'files written', behind: 'shell', at: { within: 10 } },
  { name: 'confirmed', behind: 'confirmed', at: { within: 0 }, trial: true },
  { name: 'a boot', behind: chosen, at: { within: 20 } },
];

export const lives: readonly (readonly Instant[])[] = [fresh, updated];

/** What a cut was found to have hit, whatever was meant. */
export interface Hit {
  readonly phase:
    | 'first boot'
    | 'boot'
    | 'filling of slot B'
    | 'at work'
    | 'trial boot'
    | 'confirmation'
    | 'confirmed';
  /** The boot state behind the cut; undefined when it was lost. */
  readonly state: BootState | undefined;
  /** What the disk lost, kept and tore. */
  readonly writes: Lost | undefined;
  /** What must not be. */
  readonly wrong: readonly string[];
}

/** Device under test. */
export interface Device {
  readonly machine: Machine;
  readonly stamp: Stamp;
  readonly random: Random;
  readonly kept: Kept;
  /** The agent was healthy once. */
  lived: boolean;
}

/** Lets a device run until a cut is due, cuts, and looks at the disk. */
export async function cutAt(device: Device, instant: Instant): Promise<Hit> {
  const { machine, stamp } = device;
  const content = contentOf(machine);
  const begun = readState(content, stamp);
  const onTrial = begun?.primary === 'b' && begun.b === 'trial' && begun.left > 0;
  if (instant.trial && !onTrial && begun !== undefined)
    writeState(content, stamp, filled(begun, 'b', 'trial'));
  const trial = instant.trial || onTrial;

  let told = '';
  const ear = new Duplex({
    read: () => {},
    write(chunk: Buffer, _, done) {
      told += chunk.toString();
      done();
    },
  });
  machine.console.attach(ear);
  let filling = false;
  const writes = 'write' in instant.at ? 1 + Math.floor(instant.at.most * device.random()) : 0;
  const wait = 'within' in instant.at ? instant.at.within * 1000 * device.random() : patience;
  // The wish counts from what the instant is behind of; what is filled, from the start.
  let left = Number.POSITIVE_INFINITY;
  const cut = new Promise<void>((resolve) => {
    machine.disk.watch?.((offset, length) => {
      const write = { start: offset, size: length };
      filling ||= touches('slot b', stamp, write);
      if ('write' in instant.at && touches(instant.at.write, stamp, write)) left -= 1;
      if (left > 0) return false;
      resolve();
      return true;
    });
  });
  const arm = (): void => {
    if (writes > 0) left = writes;
  };
  // What an earlier boot said must not be taken for this one's.
  await machine.console.waitFor(/^[\s\S]*/, patience);
  if (instant.behind === 'power') arm();
  await machine.powerOn();
  await reach(device, instant, arm, wait, cut);
  const lost = await machine.powerCut();
  ear.destroy();

  const up = healthy.test(told);
  const state = readState(content, stamp);
  const phase = trial
    ? instant.behind === 'confirmed'
      ? 'confirmed'
      : up
        ? 'confirmation'
        : 'trial boot'
    : filling && state?.b === 'bad'
      ? 'filling of slot B'
      : device.lived
        ? up
          ? 'at work'
          : 'boot'
        : 'first boot';
  device.lived ||= up;
  const wrong: string[] = [];
  if (state === undefined) wrong.push('both copies of the boot state are lost');
  if (state?.b === 'good' && digestOfB(content, stamp) !== stamp.slot.digest)
    wrong.push('slot B is said to be good, and is not what slot A was');
  const wasGood = phase === 'confirmed' || (begun?.b === 'good' && !trial);
  if (wasGood && state !== undefined && state.b !== 'good')
    wrong.push('slot B was good, and is not any more');
  return { phase, state, writes: lost, wrong };
}

async function reach(
  { machine, kept, random }: Device,
  { behind }: Instant,
  arm: () => void,
  wait: number,
  cut: Promise<void>,
): Promise<void> {
  const { console } = machine;
  if (behind instanceof RegExp) {
    // What was made or grown already is not done again: then the cut is behind the agent's first word.
    await console.waitFor(new RegExp(`${behind.source}|${healthy.source}`), patience);
  } else if (behind !== 'power') {
    await console.waitFor(healthy, patience);
  }
  if (behind === 'shell' || behind === 'confirmed') {
    const shell = await logIn(machine);
    await kept.look(shell, patience);
    if (behind === 'confirmed') {
      await shell.run('until [ -e /run/edgekiln/confirmed ]; do sleep 0.1; done', patience);
      return;
    }
    const due = Date.now() + wait;
    while (Date.now() < due) await kept.write(shell, patience);
    kept.begin(console);
    await sleep(500 * random());
    return;
  }
  arm();
  await Promise.race([cut, sleep(Math.min(wait, 60_000), undefined, { ref: false })]);
}

function touches(part: Part, { disk: { bootState, slots } }: Stamp, write: Extent): boolean {
  const overlap = ({ start, size }: Extent): boolean =>
    write.start < start + size && start < write.start + write.size;
  switch (part) {
    case 'anything':
      return true;
    case 'boot state':
      return bootState.some(overlap);
    case 'slot b':
      return overlap(slots.b);
    case 'partition table':
      return [tableSize, diskSize].some((end) => overlap({ start: end - tableSize, size: tableSize }));
  }
}
