// The whole profile. Keys are strict: later keys come with later work, unknown ones are errors.
import { z } from 'zod';
import { base, disk, outputs, slots } from './base.ts';
import { apps, k3s, registries } from './cluster.ts';
import { files, folders, limits, persist, units } from './contents.ts';
import { board, devices, formation, servers } from './devices.ts';
import { lan, networks } from './lan.ts';
import { site, system, users } from './system.ts';

export const profileSchema = z
  .strictObject({
    apiVersion: z.literal('edgekiln/v1').describe('Version of this format.'),
    site,
    base,
    k3s,
    board: board.optional().describe('The board of every device that names none.'),
    devices,
    formation,
    servers,
    lan,
    network: networks,
    registries,
    apps,
    users,
    system,
    files,
    units,
    persist,
    limits,
    folders,
    slots,
    disk,
    outputs,
  })
  .describe('A site, as edgekiln builds it.');

/** What a valid profile says, with defaults filled in. */
export type Written = z.output<typeof profileSchema>;

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The profile's JSON Schema (draft-7), as editors read it. Made once: it takes some milliseconds. */
export function profileJsonSchema(): JsonSchema {
  made ??= z.toJSONSchema(profileSchema, { target: 'draft-7', io: 'input' });
  return made;
}

let made: JsonSchema | undefined;
