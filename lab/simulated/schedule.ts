// What is done to a simulated site, as data: drawn from a seed, shrunk by fast-check, or written by hand in a file.
import { z } from 'zod';
import { mostElectors } from '../../formats/roster.ts';

const device = z.int().min(1).max(253);
const seconds = z.number().min(0).max(10_000_000);

/**
 * Devices are named by their place. Times are seconds of virtual time from the start of the run. A key that is not known is
 * refused: a fault that is spelt wrongly would otherwise be a fault that never came.
 */
const fault = z.discriminatedUnion('event', [
  z.strictObject({ at: seconds, event: z.literal('power-on'), device }),
  z.strictObject({ at: seconds, event: z.literal('power-off'), device }),
  /** The agent ends and is started again; k3s runs on. */
  z.strictObject({ at: seconds, event: z.literal('agent-restart'), device }),
  z.strictObject({ at: seconds, event: z.literal('pause'), device, for: seconds }),
  z.strictObject({ at: seconds, event: z.literal('port-down'), device }),
  z.strictObject({ at: seconds, event: z.literal('port-up'), device }),
  /** Devices not named are on the first side. */
  z.strictObject({ at: seconds, event: z.literal('partition'), sides: z.array(z.array(device)) }),
  z.strictObject({ at: seconds, event: z.literal('join-networks') }),
  /** What the first sends, the second does not get. */
  z.strictObject({ at: seconds, event: z.literal('one-way'), device, to: device }),
  z.strictObject({
    at: seconds,
    event: z.literal('network'),
    loss: z.number().min(0).max(1),
    /** One way, at least; up to as much again at random. */
    delay: seconds.default(0.001),
    /** Share that arrives twice, and share that comes up to five seconds late and so out of order. */
    duplicates: z.number().min(0).max(1).default(0),
    late: z.number().min(0).max(1).default(0),
  }),
  z.strictObject({ at: seconds, event: z.literal('disk-full'), device }),
  /** The filesystem turned read-only: nothing is written until it works again, what was there is still read. */
  z.strictObject({ at: seconds, event: z.literal('disk-read-only'), device }),
  z.strictObject({ at: seconds, event: z.literal('disk-works'), device }),
  z.strictObject({ at: seconds, event: z.literal('disk-slow'), device, sync: seconds }),
  /** Off, wiped, on again: the same stamp, no memory. */
  z.strictObject({ at: seconds, event: z.literal('flash'), device }),
  /** A second board with the same stamp is plugged in. */
  z.strictObject({ at: seconds, event: z.literal('clone'), device }),
  /** A person puts data into the cluster that this device is in, on this device. */
  z.strictObject({ at: seconds, event: z.literal('deploy'), device }),
  /** The device's wall clock jumps to this second since 1970. */
  z.strictObject({ at: seconds, event: z.literal('clock'), device, to: z.number() }),
  /** A newer roster reaches the device; `electors` other than the site's are a mistake that must be refused. */
  z.strictObject({
    at: seconds,
    event: z.literal('roster'),
    device,
    epoch: z.int().min(1),
    deny: z.array(device).default([]),
    electors: z.array(device).optional(),
    fork: z.boolean().default(false),
  }),
  /** The device is gone for good; a thief's laptop speaks with its key, unless it is `silent`. */
  z.strictObject({ at: seconds, event: z.literal('steal'), device, silent: z.boolean().default(false) }),
  /** A stranger replays what was heard on the LAN. */
  z.strictObject({ at: seconds, event: z.literal('replay'), on: z.boolean() }),
  /** From now on k3s and its tools hang on this device: nothing that is asked of them is ever answered. */
  z.strictObject({ at: seconds, event: z.literal('hang'), device }),
  z.strictObject({ at: seconds, event: z.literal('resolve'), device }),
  /** Claimed sites: a person at `device`, which opened enrolment, ends it, or gives a place to another board. */
  z.strictObject({ at: seconds, event: z.literal('close-enrolment'), device }),
  z.strictObject({ at: seconds, event: z.literal('replace'), device, place: device, by: device }),
]);

export type Fault = z.output<typeof fault>;

export const scheduleSchema = z
  .strictObject({
    version: z.literal(1),
    /** For whoever reads the file. */
    comment: z.string().optional(),
    seed: z.int().min(0).default(1),
    devices: z.int().min(1).max(253),
    /** Places that decide; the first seven by default. */
    electors: z.array(device).min(1).max(7).optional(),
    /** Places that may never become servers. */
    workers: z.array(device).default([]),
    policy: z
      .string()
      .regex(/^(first-online|majority|designated: [1-9]\d*)$/)
      .default('first-online'),
    refound: z.boolean().default(false),
    /** `claimed`: boards come without places; `places` of them are in the roster, by default as many as devices. */
    enrolment: z.enum(['stamped', 'claimed']).default('stamped'),
    places: z.int().min(1).max(253).optional(),
    /** Servers are promoted and replaced too. */
    roles: z.boolean().default(false),
    /** Ports stay silent for 30 s after carrier. */
    spanningTree: z.boolean().default(false),
    /** Whether everything is healed at the end and the site must converge. */
    heal: z.boolean().default(true),
    /** Seconds that the schedule lasts, before healing. */
    lasts: seconds.default(120),
    schedule: z.array(fault).max(100_000),
  })
  .superRefine(({ devices, policy, electors, workers, enrolment, places, schedule }, { addIssue }) => {
    const wrong = (message: string, ...path: (string | number)[]) =>
      addIssue({ code: 'custom', path, message });
    const known = (device: number, ...path: (string | number)[]) => {
      if (device > devices) wrong(`device ${device} is not on this site of ${devices}`, ...path);
    };
    const designated = Number(/^designated: (\d+)$/.exec(policy)?.[1] ?? 0);
    if (designated > 0) known(designated, 'policy');
    if (workers.includes(designated)) wrong(`device ${designated} is a worker and never founds`, 'policy');
    if (designated > 0 && enrolment === 'claimed') wrong('a claimed site has nobody to name', 'policy');
    if (places !== undefined && enrolment === 'stamped')
      wrong('only claimed sites have other places', 'places');
    const size = enrolment === 'claimed' ? (places ?? devices) : devices;
    const listed = (place: number, ...path: (string | number)[]) => {
      if (place > size) wrong(`place ${place} is not one of ${size}`, ...path);
    };
    for (const [index, one] of (electors ?? []).entries()) listed(one, 'electors', index);
    if (new Set(electors).size < (electors?.length ?? 0)) wrong('an elector is named twice', 'electors');
    for (const [index, one] of workers.entries()) listed(one, 'workers', index);
    if (new Set(workers).size >= size) wrong('somebody must be able to found', 'workers');
    for (const [index, one] of schedule.entries()) {
      const path = ['schedule', index];
      if ('device' in one) known(one.device, ...path, 'device');
      if (one.event === 'one-way') known(one.to, ...path, 'to');
      if (one.event === 'partition') for (const device of one.sides.flat()) known(device, ...path, 'sides');
      if (one.event === 'roster') {
        for (const place of [...one.deny, ...(one.electors ?? [])]) listed(place, ...path);
        if (one.electors?.length === 0 || (one.electors?.length ?? 0) > mostElectors)
          wrong(`1 to ${mostElectors} can decide`, ...path, 'electors');
      }
      if (one.event === 'replace') {
        known(one.by, ...path, 'by');
        listed(one.place, ...path, 'place');
      }
    }
  });

/** One run, whole. */
export type Scenario = z.output<typeof scheduleSchema>;
