// When and how eagerly the other slot is filled: docs/boot.md, settings for trials.

export interface FillSettings {
  /** Not before so many seconds since the kernel started. */
  readonly after: number;
  /** After each piece the disk is left alone for so many times as long as it took. */
  readonly leisure: number;
}

/** The device has time for what is urgent first, and the filling is never in anybody's way. */
export const patient: FillSettings = { after: 120, leisure: 4 };

/** From the kernel's command line: `edgekiln.fill=SECONDS` fills from then on, without rests. */
export function fillSettings(commandLine: string): FillSettings {
  const wish = /(?:^|\s)edgekiln\.fill=(\d{1,6})(?:\s|$)/.exec(commandLine)?.[1];
  return wish === undefined ? patient : { after: Number(wish), leisure: 0 };
}
