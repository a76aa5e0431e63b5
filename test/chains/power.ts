// Power cuts at random instants of a device's life: `npm run test:power -- --cuts 300 --seed 1`. The disk loses or tears
// what was not flushed. A device must always come up again, and what was synced must be there.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Stamp } from '../../formats/stamp.ts';
import { openLab } from '../../lab/keeper/lab.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import { type Random, seeded } from '../../lab/switch/random.ts';
import { contentOf, copySlot, inImage, readState, setArguments, stampOf, writeState } from './medium.ts';
import { healthy, logIn, makeSite, type Shell, type TestSite } from './site.ts';

/** What came of the cuts. A brick is a device that does not reach a healthy agent any more. */
export interface PowerReport {
  readonly seed: number;
  readonly cuts: number;
  readonly bricks: number;
  /** Files that had been synced, and are gone or changed. */
  readonly lost: number;
  /** Files that were looked for, over all looks. */
  readonly checked: number;
  /** How many cuts fell where. */
  readonly instants: Readonly<Record<string, number>>;
  /** What the bricks and the lost files were about. */
  readonly complaints: readonly string[];
}

/** The host may have other work: emulated machines take several times longer then. */
const patience = 300_000;

/** Where a cut falls: so long (seconds, at most) behind what the console says, or behind the agent's being up. */
type Instant =
  | { readonly name: string; readonly behind: RegExp; readonly within: number }
  | { readonly name: string; readonly behind: 'up'; readonly within: number };

const boot = { name: 'boot', behind: /edgekiln: slot [ab][\r\n]/, within: 25 } as const;
const growing = {
  name: 'growing the table',
  behind: /edgekiln: the partition table grows/,
  within: 3,
} as const;
const making = { name: 'making data', behind: /edgekiln: making data/, within: 4 } as const;
const firstBoot = { name: 'first boot', behind: making.behind, within: 20 } as const;
const writing = { name: 'writing and filling', behind: 'up', within: 20 } as const;
const trialBoot = { ...boot, name: 'trial boot' } as const;
const confirming = { name: 'confirming the trial', behind: 'up', within: 10 } as const;

/** Two lives, in cuts: as flashed, with slot B filled; and one that begins with a trial of slot B. */
const lives: readonly (readonly Instant[])[] = [
  [growing, making, firstBoot, boot, writing, writing],
  [trialBoot, trialBoot, confirming, boot],
];
/** Devices at a time: emulated machines keep one core busy each, mostly. */
const together = 2;

/** Cuts the power so many times, over as many devices as that takes. `say` hears of each. */
export async function cutPower(options: {
  cuts: number;
  seed: number;
  say(line: string): void;
}): Promise<PowerReport> {
  const site = makeSite('power');
  const lab = await openLab({ site: 'power', directory: join(site.folder, 'lab'), seed: options.seed });
  const report = { cuts: 0, bricks: 0, lost: 0, checked: 0, complaints: [] as string[] };
  const instants: Record<string, number> = {};
  try {
    const flashed = await flash(site);
    // Each device has a part of the cuts and a chance of its own, whatever the others do meanwhile.
    const devices: { name: string; life: readonly Instant[]; random: Random }[] = [];
    for (let left = options.cuts; left > 0; left -= devices.at(-1)?.life.length ?? 0) {
      const index = devices.length;
      const life = (lives[index % lives.length] ?? []).slice(0, left);
      devices.push({ name: `n${index + 1}`, life, random: seeded(options.seed * 10_000 + index) });
    }
    const live = async (device: (typeof devices)[number]): Promise<void> => {
      const kept = new Kept();
      const { name, random } = device;
      const machine = await lab.add({
        name,
        board: 'qemu-x86_64',
        image: flashed.image,
        survival: random(),
      });
      try {
        await liveThrough(machine, flashed.stamp, { ...device, kept }, (instant, did) => {
          report.cuts += 1;
          instants[instant.name] = (instants[instant.name] ?? 0) + 1;
          options.say(`cut ${report.cuts}, ${name}, ${instant.name}: ${JSON.stringify(did)}`);
        });
        options.say(`${name} lives: ${JSON.stringify(readState(contentOf(machine), flashed.stamp))}`);
      } catch (error) {
        report.bricks += 1;
        report.complaints.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        options.say(report.complaints.at(-1) ?? '');
      }
      await machine.stop();
      report.lost += kept.lost.length;
      report.checked += kept.checked;
      report.complaints.push(...kept.lost.map((what) => `${name}: ${what}`));
    };
    const waiting = [...devices];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await live(next);
    };
    await Promise.all(Array.from({ length: together }, worker));
  } finally {
    await lab.stop();
    rmSync(site.folder, { recursive: true });
  }
  return { seed: options.seed, ...report, instants };
}

/** One device's cuts, and the boot behind the last of them. Throws where it is a brick. */
async function liveThrough(
  machine: Machine,
  stamp: Stamp,
  { life, random, kept }: { life: readonly Instant[]; random: Random; kept: Kept },
  tell: (instant: Instant, did: unknown) => void,
): Promise<void> {
  const content = contentOf(machine);
  if (life[0] === trialBoot) {
    await machine.powerCut();
    copySlot(content, stamp);
    writeState(content, stamp, { seq: 1, primary: 'b', a: 'good', b: 'trial', left: 3 });
  }
  for (const instant of life) {
    await machine.powerOn();
    await reach(machine, instant, random, kept);
    tell(instant, await machine.powerCut());
  }
  await machine.powerOn();
  await machine.console.waitFor(healthy, patience);
  await kept.look(await logIn(machine));
  if (readState(content, stamp) === undefined) throw new Error('the boot state is lost');
}

/** An image whose device fills slot B, and confirms a trial, as soon as it can. */
async function flash(site: TestSite): Promise<{ image: string; stamp: Stamp }> {
  site.edgekiln('build', site.profile);
  const image = site.image('power-one');
  const stamp = await inImage(image, (content) => stampOf(content, site));
  setArguments(image, 'edgekiln.fill=0 edgekiln.confirm=3');
  return { image, stamp };
}

/** Lets a machine run until a cut is due; once it is up, files are looked at and written meanwhile, but by a trial. */
async function reach(machine: Machine, instant: Instant, random: Random, kept: Kept): Promise<void> {
  const after = instant.within * random();
  const { console } = machine;
  if (instant.behind !== 'up') {
    // What was made or grown already is not done again: then the cut is behind the agent's first word.
    await console.waitFor(new RegExp(`${instant.behind.source}|${healthy.source}`), patience);
    await sleep(after * 1000);
    return;
  }
  await console.waitFor(healthy, patience);
  // A trial confirms itself in less time than a login takes.
  if (instant === confirming) return sleep(after * 1000);
  const shell = await logIn(machine);
  await kept.look(shell);
  const due = Date.now() + after * 1000;
  while (Date.now() < due) {
    await kept.write(shell);
    await sleep(500);
  }
}

/** Files of a device that were synced, and what lasts by the persist list. */
class Kept {
  readonly lost: string[] = [];
  checked = 0;
  #written = 0;
  #machineId: string | undefined;

  async write(shell: Shell): Promise<void> {
    const next = this.#written + 1;
    const path = `/var/lib/edgekiln/kept-${next}`;
    await shell.run(`seq ${next} ${next + 5000} >${path} && sync ${path} /var/lib/edgekiln`, patience);
    this.#written = next;
  }

  async look(shell: Shell): Promise<void> {
    const id = await shell.run('cat /run/edgekiln/data/persist/etc/machine-id 2>/dev/null || true', patience);
    if (this.#machineId !== undefined && id !== this.#machineId) this.lost.push(`machine id ${id}`);
    if (id !== '') this.#machineId = id;
    if (this.#written === 0) return;
    const check = `n=1; while [ $n -le ${this.#written} ]; do seq $n $((n + 5000)) | cmp -s - /var/lib/edgekiln/kept-$n || echo bad $n; n=$((n + 1)); done`;
    const said = await shell.run(check, patience);
    this.checked += this.#written;
    for (const [line] of said.matchAll(/bad \d+/g)) this.lost.push(`synced file is ${line}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const options = {
    cuts: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
  } as const;
  const { cuts, seed } = parseArgs({ options }).values;
  const report = await cutPower({
    cuts: Number(cuts),
    seed: Number(seed),
    say: (line) => console.error(line),
  });
  console.log(JSON.stringify(report));
  process.exitCode = report.bricks + report.lost === 0 && report.cuts > 0 ? 0 : 1;
}
