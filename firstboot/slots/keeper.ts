// Keeps the slots in order: reads the boot state, confirms the slot that runs, fills the other one.
import { type FileHandle, readFile, rm, writeFile } from 'node:fs/promises';
import type { BootState, SlotName } from '../../formats/bootstate.ts';
import type { Stamp } from '../../formats/stamp.ts';
import type { Paths } from '../boot/paths.ts';
import { replaceFile } from '../boot/replace.ts';
import { nextSlotStep, type SlotFacts } from './decide.ts';
import { openDisk, readBootState, writeBootState } from './disk.ts';
import type { Filler } from './filler.ts';
import {
  memoryText,
  parseMemory,
  rememberFound,
  rememberWritten,
  type Setback,
  type SlotMemory,
} from './memory.ts';
import { type SlotSettings, slotSettings } from './settings.ts';

/** What the keeper is given at every look. */
export interface SlotLook {
  readonly healthy: boolean;
  /** Some LAN interface has a link. */
  readonly network: boolean;
  /** It takes part in its site again, where it can. */
  readonly back: boolean;
  /** Data is this flash's own and can be written. */
  readonly data: boolean;
  /** Whether this device's cluster has formed; left out where nobody knows. */
  readonly formed?: boolean | undefined;
  /** Seconds since the kernel started. */
  readonly now: number;
}

/** What the status shows of the slots. */
export interface SlotView {
  readonly state: BootState | undefined;
  /** Bytes of the filling, both passes, while it runs. */
  readonly filling: { readonly done: number; readonly total: number } | undefined;
  /** A slot that was given up or left, until it is tried anew. */
  readonly setback: Setback | undefined;
}

const ownFile = { mode: 0o644, uid: 0, gid: 0 };

export class SlotKeeper {
  readonly #paths: Paths;
  readonly #disk: FileHandle;
  readonly #stamp: Stamp;
  readonly #running: SlotName;
  readonly #settings: SlotSettings;
  readonly #fillApart: Filler;
  readonly #abort = new AbortController();
  #state: BootState | undefined;
  #healthySince: number | undefined;
  #networkSeen = false;
  #putOff = 0;
  #memory: SlotMemory | undefined;
  #filling: SlotFacts['filling'] = 'not begun';
  #progress: SlotView['filling'];
  #fillFailed: unknown;
  #filler: Promise<void> = Promise.resolve();
  #confirmedSaid = false;

  private constructor(
    paths: Paths,
    disk: FileHandle,
    stamp: Stamp,
    running: SlotName,
    settings: SlotSettings,
    filler: Filler,
  ) {
    this.#paths = paths;
    this.#disk = disk;
    this.#stamp = stamp;
    this.#running = running;
    this.#settings = settings;
    this.#fillApart = filler;
  }

  /** Opens the disk and reads its boot state; fails when it is not the disk of this stamp. */
  static async open(
    paths: Paths,
    disk: string,
    stamp: Stamp,
    running: SlotName,
    filler: Filler,
  ): Promise<SlotKeeper> {
    const handle = await openDisk(disk, await readFile(paths.stamp));
    const settings = slotSettings(await readFile(paths.commandLine, 'utf8'));
    const keeper = new SlotKeeper(paths, handle, stamp, running, settings, filler);
    keeper.#state = await readBootState(handle, stamp);
    keeper.#putOff = Number(await readFile(paths.putOff, 'utf8').catch(() => '0'));
    keeper.#memory = parseMemory(await readFile(paths.slotMemory, 'utf8').catch(() => ''));
    if (keeper.#state !== undefined)
      await keeper.#remember(rememberFound(keeper.#memory, keeper.#state, new Date().toISOString()));
    return keeper;
  }

  view(): SlotView {
    return { state: this.#state, filling: this.#progress, setback: this.#memory?.setback };
  }

  /** One look: at most one step is taken. Throws what keeps it from its work; a later look tries again. */
  async look({ healthy, network, back, data, formed, now }: SlotLook): Promise<void> {
    this.#healthySince = healthy ? (this.#healthySince ?? now) : undefined;
    this.#networkSeen ||= network;
    const step = nextSlotStep({
      state: this.#state,
      running: this.#running,
      now,
      healthySince: this.#healthySince,
      networkSeen: this.#networkSeen,
      back,
      data,
      formed,
      putOff: this.#putOff,
      settings: this.#settings,
      filling: this.#filling,
    });
    switch (step.kind) {
      case 'put off':
        // First, so that a power cut in between never makes it one try more.
        await this.#count(step.putOff);
        await this.#write(step.state, step.state[this.#running] === 'bad' ? this.#unseen() : undefined);
        break;
      case 'confirm':
      case 'filled':
      case 'try again':
        await this.#write(step.state);
        break;
      case 'fill':
        this.#filling = 'running';
        this.#filler = this.#fill();
        break;
      case 'wait':
      case 'rest':
        break;
    }
    await this.#sayConfirmed();
    if (this.#fillFailed !== undefined) throw this.#fillFailed;
  }

  /** Ends a filling (the next start goes on with it) and closes the disk. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#filler;
    await this.#disk.close();
  }

  async #write(state: BootState, setback?: Setback): Promise<void> {
    await writeBootState(this.#disk, this.#stamp, state);
    this.#state = state;
    await this.#remember(rememberWritten(this.#memory, state, setback));
    if (this.#putOff === 0 || state.a === 'trial' || state.b === 'trial') return;
    await rm(this.#paths.putOff, { force: true });
    this.#putOff = 0;
  }

  async #count(putOff: number): Promise<void> {
    await replaceFile(this.#paths.putOff, Buffer.from(`${putOff}`), ownFile);
    this.#putOff = putOff;
  }

  #unseen(): Setback {
    return { slot: this.#running, why: 'no network on trial', since: new Date().toISOString() };
  }

  /** Only to tell people: a disk that does not take it must not keep the slots from being looked after. */
  async #remember(memory: SlotMemory): Promise<void> {
    const text = memoryText(memory);
    if (this.#memory !== undefined && memoryText(this.#memory) === text) return;
    this.#memory = memory;
    await replaceFile(this.#paths.slotMemory, Buffer.from(text), ownFile).catch(() => undefined);
  }

  /** For the deadman, which reboots a trial slot that does not get so far. */
  async #sayConfirmed(): Promise<void> {
    if (this.#confirmedSaid || this.#healthySince === undefined || this.#state?.[this.#running] !== 'good')
      return;
    await writeFile(this.#paths.confirmed, '');
    this.#confirmedSaid = true;
  }

  async #fill(): Promise<void> {
    try {
      await this.#fillApart({
        signal: this.#abort.signal,
        leisure: this.#settings.leisure,
        progress: (done, total) => {
          this.#progress = { done, total };
        },
      });
      this.#filling = 'verified';
    } catch (error) {
      this.#filling = 'failed';
      if (!this.#abort.signal.aborted) this.#fillFailed = error;
    } finally {
      this.#progress = undefined;
    }
  }
}
