// The devices of a site and how they become a cluster.
import { z } from 'zod';
import { label, text } from './fields.ts';

/** The host part of a site address is the place, and .0, .254 and .255 are kept. */
export const mostDevices = 253;

export const board = text(/^[a-z0-9][a-z0-9_.-]{0,62}$/, 'the name of a board, such as qemu-x86_64');

const serversExpected = '1, 3 or 5: two servers are no safer than one, as both must be alive for a majority';

const device = z.strictObject({
  name: label('a device name').describe('Name of the device, unique in the site.'),
  board: board.optional().describe('Its board, where it is not the one of the profile.'),
  hardware: z
    .int('a whole number from 0 to 9')
    .min(0, 'a whole number from 0 to 9')
    .max(9, 'a whole number from 0 to 9')
    .optional()
    .describe('Hardware class, 0 to 9: higher ones become servers first. Left out: that of the board.'),
  failureDomain: label('a failure domain')
    .optional()
    .describe(
      'Devices that fail together (one switch, one socket strip) share one. Left out: the device alone.',
    ),
  eligible: z.boolean().default(true).describe('Whether it may become a server.'),
});

export const devices = z
  .array(device)
  .min(1, 'at least one device')
  .max(mostDevices, `at most ${mostDevices} devices: a site has one /24`)
  .describe('The devices of the site, in order of their places. New ones go to the end.');

export const formation = z
  .strictObject({
    policy: z
      .enum(['first-online', 'majority', 'designated'])
      .default('first-online')
      .describe(
        'Who starts the cluster: the first device that settles; one decided by a majority first; or the `founder`.',
      ),
    founder: label('the name of a device')
      .optional()
      .describe('The device that founds, with policy designated.'),
  })
  .prefault({})
  .describe('How the cluster starts.');

export const servers = z
  .strictObject({
    count: z
      .literal([1, 3, 5], serversExpected)
      .optional()
      .describe('Servers to aim at. Left out: 3 where three devices are eligible, else 1.'),
    promoteAt: z
      .literal([3, 4])
      .default(3)
      .describe('Eligible devices that must be there before more than one becomes a server.'),
  })
  .prefault({})
  .describe('The control plane.');
