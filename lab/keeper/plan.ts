// What `lab up` asks its background process for: a file, so that it can be read when something went wrong.
import { z } from 'zod';
import { labBoards } from '../qemu/arguments.ts';
import { routers } from '../qemu/gateway.ts';

const common = {
  /** Names sockets, files and a port of the switch. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and hyphens, at most 40'),
  /** Silence of a spanning tree on its port, ms. */
  silence: z.number().min(0).optional(),
};

const placeSchema = z.strictObject({
  ...common,
  board: z.enum(labBoards),
  image: z.string(),
  /** Bytes. */
  disk: z.int().positive().optional(),
  /** The disk refuses writes, as a card with its switch at LOCK, or one that is worn out. */
  writeProtected: z.boolean().optional(),
  /** Chance that a write survives a power cut that was not flushed: 0 to 1. Not given: a plain disk, see disk.ts. */
  survival: z.number().min(0).max(1).optional(),
  /** MiB. */
  memory: z.int().min(64).optional(),
  cpus: z.int().min(1).max(64).optional(),
  clock: z
    .string()
    .regex(/^(utc|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})$/, 'utc or YYYY-MM-DDTHH:MM:SS')
    .optional(),
  extra: z.array(z.string()).readonly().optional(),
});

const namespacePlaceSchema = z.strictObject({
  ...common,
  /** What flashing would have put on it: the image's own files, the stamp, and its flash id. */
  flashed: z.strictObject({ slot: z.string(), stamp: z.string(), flash: z.string() }),
  /** A k3s in place of the image's. */
  k3s: z.string().optional(),
  /** More for the environment of its agent: words without blanks. */
  settings: z.record(z.string().regex(/^\w+$/), z.string().regex(/^\S*$/)).optional(),
});

export const labPlanSchema = z.strictObject({
  version: z.literal(1),
  site: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, 'letters, digits, dots and hyphens'),
  /** Absolute: logs, disks and the state of this lab. */
  directory: z.string(),
  seed: z.int().optional(),
  router: z.enum(routers).optional(),
  places: z.array(z.union([placeSchema, namespacePlaceSchema])).min(1),
});

/** A whole machine. */
export type Place = z.infer<typeof placeSchema>;
/** A host in namespaces. */
export type NamespacePlace = z.infer<typeof namespacePlaceSchema>;
export type LabPlan = z.infer<typeof labPlanSchema>;
