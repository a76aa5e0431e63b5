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
  | { readonly name: string; readonly behind: 'up'; readonly from: number; readonly within: number };

const boot = { name: 'boot', behind: /edgekiln: slot [ab][\r\n]/, within: 25 } as const;
const growing = {
  name: 'growing the table',
  behind: /edgekiln: the partition table grows/,
  within: 3,
} as const;
const making = { name: 'making data', behind: /edgekiln: making data/, within: 4 } as const;
const firstBoot = { name: 'first boot', behind: making.behind, within: 20 } as const;
const writing = { name: 'writing and filling', behind: 'up', from: 0, within: 12 } as const;
const confirming = { name: 'confirming the trial', behind: 'up', from: 50, within: 15 } as const;

/** A device's life, in cuts: as flashed, then with a trial of slot B before the last three. */
const life: readonly Instant[] = [
  ...[growing, growing, making, making, firstBoot, boot, writing],
  ...[boot, confirming, boot],
];
const trialAt = life.length - 3;

/** Cuts the power so many times, over as many devices as that takes. `say` hears of each. */
export async function cutPower(options: {
  cuts: number;
  seed: number;
  say(line: string): void;
}): Promise<PowerReport> {
  const random = seeded(options.seed);
  const site = makeSite('power');
  const lab = await openLab({ site: 'power', directory: join(site.folder, 'lab'), seed: options.seed });
  const report = { cuts: 0, bricks: 0, lost: 0, checked: 0, complaints: [] as string[] };
  const instants: Record<string, number> = {};
  try {
    for (let device = 1; report.cuts < options.cuts; device += 1) {
      const { machine, stamp } = await flash(site, (image) =>
        lab.add({ name: `n${device}`, board: 'qemu-x86_64', image, survival: random() }),
      );
      const kept = new Kept();
      try {
        for (const [index, instant] of life.entries()) {
          if (report.cuts === options.cuts) break;
          const content = contentOf(machine);
          if (index === trialAt) {
            copySlot(content, stamp);
            writeState(content, stamp, { seq: 0, primary: 'b', a: 'good', b: 'trial', left: 3 });
          }
          if (index > 0) await machine.powerOn();
          await reach(machine, instant, random, kept);
          const did = await machine.powerCut();
          report.cuts += 1;
          instants[instant.name] = (instants[instant.name] ?? 0) + 1;
          options.say(`cut ${report.cuts}, device ${device}, ${instant.name}: ${JSON.stringify(did)}`);
        }
        await machine.powerOn();
        await machine.console.waitFor(healthy, patience);
        await kept.look(await logIn(machine));
        if (readState(contentOf(machine), stamp) === undefined) throw new Error('the boot state is lost');
      } catch (error) {
        report.bricks += 1;
        report.complaints.push(`device ${device}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await machine.stop();
      report.lost += kept.lost.length;
      report.checked += kept.checked;
      report.complaints.push(...kept.lost.map((what) => `device ${device}: ${what}`));
    }
  } finally {
    await lab.stop();
    rmSync(site.folder, { recursive: true });
  }
  return { seed: options.seed, ...report, instants };
}

/** A device as flashed, that fills slot B as soon as it can. */
async function flash(
  site: TestSite,
  start: (image: string) => Promise<Machine>,
): Promise<{ machine: Machine; stamp: Stamp }> {
  site.edgekiln('build', site.profile);
  const image = site.image('power-one');
  const stamp = await inImage(image, (content) => stampOf(content, site));
  setArguments(image, 'edgekiln.fill=0');
  return { machine: await start(image), stamp };
}

/** Lets a machine run until a cut is due; once it is up, files are looked at and written meanwhile. */
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
  const due = Date.now() + (instant.from + after) * 1000;
  const shell = await logIn(machine);
  await kept.look(shell);
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
