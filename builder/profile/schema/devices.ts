// The devices of a site and how they become a cluster.
import { z } from 'zod';
import { address, label, text } from './fields.ts';

/** The host part of a site address is the place; .254 is left free. */
const mostDevices = 253;

const labelKey = text(
  /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
  'a label key as Kubernetes has them, such as example.com/role',
);
const labelValue = text(
  /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/,
  'a label value: at most 63 letters, digits and -_., a letter or digit at both ends',
);
const taint = text(
  /^([a-z0-9][a-z0-9.-]*\/)?[A-Za-z0-9][A-Za-z0-9_.-]*(=[A-Za-z0-9_.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$/,
  'a taint: KEY=VALUE:EFFECT, the effect NoSchedule, PreferNoSchedule or NoExecute',
);

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
  elector: z
    .boolean()
    .optional()
    .describe(
      'Whether it has a voice in who founds. Left out by all: the first seven devices. Fixed for the life of a site.',
    ),
  address: address('the address').optional().describe('Its address on the LAN, with `lan.static`.'),
  labels: z.record(labelKey, labelValue).default({}).describe('Labels of its node.'),
  taints: z.array(taint).default([]).describe('Taints of its node.'),
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
    onFounderLoss: z
      .enum(['alarm', 'refound'])
      .default('alarm')
      .describe(
        'With policy first-online: a site that lost its only server, and data with it, waits for a person; or founds anew without it. Empty ones always found anew.',
      ),
  })
  .prefault({})
  .describe('How the cluster starts.');

export const servers = z
  .strictObject({
    count: z
      .literal([1, 3, 5], serversExpected)
      .optional()
      .describe(
        'Servers to aim at; 3 need three failure domains. Left out: 3 where three devices are eligible, else 1.',
      ),
    promoteAt: z
      .literal([3, 4])
      .default(3)
      .describe('Eligible devices that must be there before more than one becomes a server.'),
    replaceAfter: text(/^([5-9]|[1-9][0-9]{1,3})m$/, 'minutes, at least 5, such as 10m')
      .default('10m')
      .describe('How long a server is dead before another device takes its part.'),
  })
  .prefault({})
  .describe('The control plane.');
