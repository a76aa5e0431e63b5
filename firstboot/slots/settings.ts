// When and how eagerly the slots are seen to: docs/boot.md, settings for trials.

/** All times in seconds. */
export interface SlotSettings {
  /** The other slot is not filled before so many since the kernel started. */
  readonly fillAfter: number;
  /** Where no cluster forms: a device that stays alone gets its second slot too. */
  readonly fillAloneAfter: number;
  /** After each piece the disk is left alone for so many times as long as it took. */
  readonly leisure: number;
  /** A trial is confirmed when the agent has been healthy for so long: one that falls over again and again is not. */
  readonly trialHealthyFor: number;
  /** A trial that saw no network so long after the kernel started goes back; before the deadman ends it as a bad one. */
  readonly networkWithin: number;
}

const deadman = 900;

/** The device has time for what is urgent first, and the filling is never in anybody's way. */
export const patient: SlotSettings = {
  fillAfter: 120,
  fillAloneAfter: 1800,
  leisure: 4,
  trialHealthyFor: 60,
  networkWithin: (deadman * 2) / 3,
};

/**
 * From the kernel's command line: `edgekiln.fill=SECONDS` fills from then on, without rests, whatever the cluster does;
 * `edgekiln.confirm=SECONDS` is how long the agent of a trial must be healthy; `edgekiln.deadman=SECONDS` leaves the
 * network two thirds of it.
 */
export function slotSettings(commandLine: string): SlotSettings {
  const wish = (name: string): number | undefined => {
    const found = new RegExp(`(?:^|\\s)edgekiln\\.${name}=(\\d{1,6})(?:\\s|$)`).exec(commandLine)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const fill = wish('fill');
  return {
    ...patient,
    ...(fill === undefined ? {} : { fillAfter: fill, fillAloneAfter: fill, leisure: 0 }),
    trialHealthyFor: wish('confirm') ?? patient.trialHealthyFor,
    networkWithin: ((wish('deadman') ?? deadman) * 2) / 3,
  };
}
