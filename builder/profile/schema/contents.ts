// What is put into the image beside the system: files, units, folders that last, and how much may pile up.
import { z } from 'zod';
import { octal, owner, path, size, text } from './fields.ts';

const target = text(
  /^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._@+-]+)+$/,
  'an absolute path of letters, digits and ._@+-, without . and ..',
);

/** Contents are written here or kept in a file beside the profile: exactly one. */
const contents = {
  content: z.string().optional().describe('The contents, as text.'),
  from: path('a file').optional().describe('A file with the contents.'),
};
const oneOf = [{ required: ['content'] }, { required: ['from'] }];

export const files = z
  .array(
    z
      .strictObject({
        path: target.describe('Where it is on the device.'),
        ...contents,
        mode: octal().default('0644').describe('Permissions, four octal digits in quotes.'),
        owner: owner().default('0:0').describe('UID:GID in numbers.'),
      })
      .meta({ oneOf }),
  )
  .default([])
  .describe('Files for the image.');

export const units = z
  .array(
    z
      .strictObject({
        name: text(
          /^[A-Za-z0-9:_.@-]+\.(service|socket|timer|path|mount|target|slice)$/,
          'the name of a systemd unit, such as backup.timer',
        ).describe('Name of the unit, with its ending.'),
        ...contents,
        enable: z.boolean().default(true).describe('Whether it is enabled, as its [Install] section says.'),
      })
      .meta({ oneOf }),
  )
  .default([])
  .describe('systemd units for the image.');

export const persist = z
  .array(
    z.strictObject({
      path: target.describe('The path that is kept.'),
      kind: z
        .enum(['dir', 'copy'])
        .default('dir')
        .describe(
          'dir: a folder, kept as it changes. copy: one small file, copied in at boot and written back.',
        ),
      mode: octal().default('0755').describe('Permissions it is made with, four octal digits in quotes.'),
      owner: owner().default('0:0').describe('UID:GID in numbers it is made with.'),
    }),
  )
  .default([])
  .describe('What lasts over a boot, beside what always does: /etc and /var come anew from the image.');

const percent = z
  .int('a whole number from 10 to 95')
  .min(10, 'a whole number from 10 to 95')
  .max(95, 'a whole number from 10 to 95');
const MiB = 1024 ** 2;

export const limits = z
  .strictObject({
    journal: size(8 * MiB, '8MiB')
      .default('64MiB')
      .describe('Most that the journal may hold.'),
    containerLogs: z
      .strictObject({
        size: size(1 * MiB, '1MiB')
          .default('5MiB')
          .describe('A log file is turned over at this size.'),
        files: z
          .int()
          .min(2, 'at least 2')
          .max(20, 'at most 20')
          .default(3)
          .describe('Log files a container keeps.'),
      })
      .prefault({})
      .describe('Logs of containers.'),
    images: z
      .strictObject({
        high: percent
          .default(75)
          .describe('Unused images are removed when this much of the data is full, in percent.'),
        low: percent
          .default(60)
          .describe('Removing them ends when this much is full, in percent; less than `high`.'),
      })
      .prefault({})
      .describe('Images of containers.'),
  })
  .prefault({})
  .describe('What may pile up on the data partition; the defaults fit 8 GB.');

export const folders = z
  .array(path('a folder'))
  .default([])
  .describe('Folders outside of the one with the profile that paths may lead into, such as ../common.');
