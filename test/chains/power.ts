// Power cuts at random instants of a device's life: `npm run test:power -- --cuts 300 --seed 1`. The disk loses or tears
// what was not flushed. A device must always come up again, and what was synced must be there.
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { renderError } from '../../formats/errors.ts';
import type { Stamp } from '../../formats/stamp.ts';
import { openLab } from '../../lab/keeper/lab.ts';
import { seeded } from '../../lab/switch/random.ts';
import { Kept } from './kept.ts';
import {
  contentOf,
  copySlot,
  digestOfB,
  inImage,
  readState,
  setArguments,
  stampOf,
  writeState,
} from './medium.ts';
import { cutAt, type Device, type Hit, type Instant, lives, patience } from './power-life.ts';
import { isCaught } from './power-mutants.ts';
import { alone, healthy, logIn, makeSite, type TestSite } from './site.ts';

/** What came of the cuts. A brick is a device that does not reach a healthy agent any more. */
export interface PowerReport {
  readonly seed: number;
  readonly cuts: number;
  readonly bricks: number;
  /** Synced files that are gone or changed, and synced states that are not so any more. */
  readonly lost: number;
  /** Files that were looked for, over all looks. */
  readonly checked: number;
  /** How many cuts hit which phase of a device's life. */
  readonly phases: Readonly<Partial<Record<Hit['phase'], number>>>;
  /** Writes that were on their way when the power went: gone, there, there in part. */
  readonly writes: { readonly lost: number; readonly kept: number; readonly torn: number };
  /** What the bricks and the lost files were about. */
  readonly complaints: readonly string[];
}

const MiB = 1024 ** 2;

/** Cuts the power so many times, over as many devices as that takes; `tillWrong`: ends behind the first complaint. */
export async function cutPower(options: {
  readonly cuts: number;
  readonly seed: number;
  readonly tillWrong?: boolean;
  /** Names of the instants to cut at; all of them where nothing is said. */
  readonly only?: readonly string[] | undefined;
  /** Devices at a time: emulated machines keep one core busy each, mostly. */
  readonly together?: number;
  /** Hears of each cut. */
  say(line: string): void;
}): Promise<PowerReport> {
  const site = makeSite('power', alone);
  const report = { cuts: 0, bricks: 0, lost: 0, checked: 0, complaints: [] as string[] };
  const phases: Partial<Record<Hit['phase'], number>> = {};
  const writes = { lost: 0, kept: 0, torn: 0 };
  try {
    const { image, stamp } = await flash(site);
    const complain = (device: string, what: string): void => {
      report.complaints.push(`${device}: ${what}`);
      options.say(`${device}: ${what}`);
    };
    const isOver = (): boolean => options.tillWrong === true && report.complaints.length > 0;
    const live = async (index: number, life: readonly Instant[]): Promise<void> => {
      const name = `n${index + 1}`;
      // Each device has a chance of its own, whatever the others do meanwhile, and a LAN: all carry the same stamp.
      const seed = options.seed * 10_000 + index;
      const random = seeded(seed);
      const lab = await openLab({ site: 'power', directory: join(site.folder, 'lab'), seed });
      const place = { name, board: 'qemu-x86_64', image, cpus: 1, survival: random() } as const;
      const machine = await lab.add(place);
      await machine.powerCut();
      const device: Device = { machine, stamp, random, kept: new Kept(), lived: false };
      try {
        if (life[0]?.trial) {
          copySlot(contentOf(machine), stamp);
          writeState(contentOf(machine), stamp, { seq: 1, primary: 'a', a: 'good', b: 'bad', left: 9 });
        }
        for (const instant of life) {
          const hit = await cutAt(device, instant);
          report.cuts += 1;
          phases[hit.phase] = (phases[hit.phase] ?? 0) + 1;
          for (const what of ['lost', 'kept', 'torn'] as const) writes[what] += hit.writes?.[what] ?? 0;
          options.say(`cut ${report.cuts}, ${name}, ${instant.name}: ${JSON.stringify(hit)}`);
          report.lost += hit.wrong.length;
          for (const what of hit.wrong) complain(name, what);
          if (isOver()) break;
        }
        if (!isOver()) {
          await rest(device);
          options.say(`${name} lives: ${JSON.stringify(readState(contentOf(machine), stamp))}`);
        }
      } catch (error) {
        report.bricks += 1;
        complain(name, `${renderError(error)}${workOf(machine.pid())}`);
      }
      await lab.stop();
      report.lost += device.kept.lost.length;
      report.checked += device.kept.checked;
      for (const what of device.kept.lost) complain(name, what);
    };
    const waiting = livesOf(options.cuts, options.only).entries();
    const worker = async (): Promise<void> => {
      for (const [index, life] of waiting) if (!isOver()) await live(index, life);
    };
    await Promise.all(Array.from({ length: options.together ?? 2 }, worker));
  } finally {
    rmSync(site.folder, { recursive: true });
  }
  return { seed: options.seed, ...report, phases, writes };
}

/** How much a machine did since it was powered on: on a busy host it may only have been slow. */
function workOf(pid: number | undefined): string {
  if (pid === undefined) return '';
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const [user = 0, system = 0] = fields.split(' ').slice(11, 13).map(Number);
  return `\n  QEMU had ${Math.round((user + system) / 100)} s of a processor since it was powered on`;
}

/** One life a device, so many cuts in all. */
function livesOf(cuts: number, only?: readonly string[]): (readonly Instant[])[] {
  const wished = lives
    .map((life) => life.filter(({ name }) => only?.includes(name) !== false))
    .filter(({ length }) => length > 0);
  const all: (readonly Instant[])[] = [];
  for (let left = wished.length === 0 ? 0 : cuts; left > 0; left -= all.at(-1)?.length ?? 0)
    all.push((wished[all.length % wished.length] ?? []).slice(0, left));
  return all;
}

/** An image whose device fills slot B, and confirms a trial, as soon as it can. Much of B is there, to save time. */
async function flash(site: TestSite): Promise<{ image: string; stamp: Stamp }> {
  site.edgekiln('build', site.profile);
  const image = site.image('power-one');
  const stamp = await inImage(image, async (content) => {
    const found = await stampOf(content, site);
    copySlot(content, found);
    const { start } = found.disk.slots.b;
    for (const [at, end] of found.slot.mapped)
      content.write(start + at, Buffer.alloc(Math.min(MiB, end - at)));
    return found;
  });
  setArguments(image, 'edgekiln.fill=0 edgekiln.confirm=3');
  return { image, stamp };
}

/** The boot behind the last cut: healthy, all files there, and a filling that was cut ends with the bytes of slot A. */
async function rest({ machine, stamp, kept }: Device): Promise<void> {
  const content = contentOf(machine);
  await machine.console.waitFor(/^[\s\S]*/, patience);
  await machine.powerOn();
  await machine.console.waitFor(healthy, patience);
  await kept.look(await logIn(machine), patience);
  // Without data slot B is not filled.
  if (kept.lost.length > 0) return;
  for (const due = Date.now() + patience; readState(content, stamp)?.b === 'bad'; await sleep(500))
    if (Date.now() > due) throw new Error('slot B is not filled any more');
  if (readState(content, stamp)?.b === 'good' && digestOfB(content, stamp) !== stamp.slot.digest)
    throw new Error('slot B is said to be good, and is not what slot A was');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { values } = parseArgs({
    options: {
      cuts: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      'till-wrong': { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      together: { type: 'string', default: '2' },
      mutant: { type: 'string' },
    },
  });
  const { cuts, seed, mutant } = values;
  if (mutant === undefined) {
    const report = await cutPower({
      cuts: Number(cuts),
      seed: Number(seed),
      tillWrong: values['till-wrong'],
      only: values.only,
      together: Number(values.together),
      say: (line) => console.error(line),
    });
    console.log(JSON.stringify(report));
    process.exitCode = report.bricks + report.lost === 0 && report.cuts > 0 ? 0 : 1;
  } else {
    const caught = isCaught(mutant, cuts, seed);
    console.log(JSON.stringify({ mutant, caught }));
    process.exitCode = caught ? 0 : 1;
  }
}
