// The clock of a board without a battery begins in 1970; certificates made then are worth nothing later. It is never
// behind the image, nor behind what it once was, nor behind verified peers.
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../boot/replace.ts';

/** Seconds since 1970 beyond which no clock is believed: 2100. */
const latest = 4_102_444_800;
/** How far a clock may be behind before it is set, in seconds. */
const tolerance = 2;

/** Sets the system's clock to seconds since 1970; fails where it may not. */
export type SetClock = (seconds: number) => Promise<void>;

export class Clock {
  readonly #saved: string;
  readonly #set: SetClock;

  /** `saved` is the file on data that keeps the time. */
  constructor(saved: string, set: SetClock) {
    this.#saved = saved;
    this.#set = set;
  }

  /** Raises the clock to the latest of the file of the image and the time that was kept. Before k3s starts. */
  async raiseToFloor(imageFile: string): Promise<void> {
    const image = await stat(imageFile).then(
      ({ mtimeMs }) => mtimeMs / 1000,
      () => 0,
    );
    await this.raise(Math.max(believable(image), believable(await this.#kept())));
  }

  /** Raises the clock to a time that a verified peer has; it is never set back. True if it was set. */
  async raise(seconds: number): Promise<boolean> {
    if (believable(seconds) <= Date.now() / 1000 + tolerance) return false;
    await this.#set(Math.floor(seconds));
    return true;
  }

  /** Keeps the time for the next start; a later one that was kept stays, where the clock could not be raised to it. */
  async save(): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    if (believable(await this.#kept()) > now + tolerance) return;
    await mkdir(dirname(this.#saved), { recursive: true });
    await replaceFile(this.#saved, Buffer.from(`${now}\n`), { mode: 0o644, uid: 0, gid: 0 });
  }

  #kept(): Promise<number> {
    return readFile(this.#saved, 'latin1').then(Number, () => 0);
  }
}

function believable(seconds: number): number {
  return Number.isFinite(seconds) && seconds > 0 && seconds < latest ? seconds : 0;
}
