// What the image is made from, how large it is, and what leaves.
import { z } from 'zod';
import { path, sha256, size, text, url } from './fields.ts';

const packageName = text(/^[a-z0-9][a-z0-9+.-]+$/, 'the name of a Debian package');

export const base = z
  .strictObject({
    debian: z
      .strictObject({
        suite: z.enum(['trixie']).default('trixie').describe('Debian release: trixie is Debian 13.'),
        mirror: url('a Debian mirror')
          .optional()
          .describe('Mirror to take packages from. Left out: the one the build machine is set up for.'),
        packages: z.array(packageName).default([]).describe('Packages beside those that every image needs.'),
      })
      .optional()
      .describe('A base made from Debian packages.'),
    tarball: z
      .strictObject({
        path: path('a root filesystem as a tar archive').describe(
          'The archive: .tar, .tar.gz, .tar.xz or .tar.zst.',
        ),
        sha256: sha256().describe('Its digest.'),
      })
      .optional()
      .describe('A base made elsewhere, with kernel and systemd inside.'),
  })
  .meta({ oneOf: [{ required: ['debian'] }, { required: ['tarball'] }] })
  .prefault({ debian: {} })
  .describe('The operating system to start from: exactly one of the keys below. Left out: Debian 13.');

const outputNames = ['image', 'zip', 'zst', 'bmap', 'eflasher', 'bundle'] as const;
export type Output = (typeof outputNames)[number];

export const outputs = z
  .array(z.enum(outputNames))
  .min(1, 'at least one output')
  .default(['image'])
  .describe(
    'What leaves the build: image, zip (for balenaEtcher), zst, bmap (block maps), eflasher (FriendlyElec) and bundle (an update), both not built yet.',
  );

const MiB = 1024 ** 2;
export const slots = z
  .strictObject({
    size: size(256 * MiB, '256MiB')
      .optional()
      .describe('Size of one slot. Left out: what the board is laid out for.'),
  })
  .prefault({})
  .describe('The two root filesystems, A and B.');

export const disk = z
  .strictObject({
    size: size(1024 * MiB, '1GiB')
      .optional()
      .describe('Size of the smallest medium the image must fit. Left out: what the board has.'),
  })
  .prefault({})
  .describe('The medium that is flashed.');
