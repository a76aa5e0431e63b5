// The verbs of the command line, in the order of help. A new one is a file beside this one and a line here.
import type { Listed } from './frame.ts';

export const verbs: readonly Listed[] = [
  { name: 'init', summary: 'write a commented profile to start from', load: () => import('./init.ts') },
  {
    name: 'validate',
    summary: 'check profiles and show all that is wrong',
    load: () => import('./validate.ts'),
  },
  {
    name: 'build',
    summary: 'make the flashable images of a site',
    load: () => import('./build.ts'),
  },
  {
    name: 'inspect',
    summary: 'look into an image: partitions, stamp, slots, files',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'verify',
    summary: 'see whether images are what was built',
    load: () => import('./verify.ts'),
  },
  {
    name: 'diff',
    summary: 'tell what differs between two builds, and why',
    load: () => import('./diff.ts'),
  },
  {
    name: 'stamp',
    summary: 'make the image of one device from that of another',
    load: () => import('./stamp.ts'),
  },
  {
    name: 'artifacts',
    summary: 'pin all that a build takes from elsewhere, and fetch it',
    load: () => import('./artifacts.ts'),
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of profiles, for editors',
    load: () => import('./schema.ts'),
  },
  {
    name: 'doctor',
    summary: 'see whether this machine has what builds need',
    load: () => import('./doctor.ts'),
  },
  {
    name: 'lab',
    summary: 'try the images of a site on virtual machines',
    load: () => import('./lab.ts'),
  },
  { name: 'completion', summary: 'print completion for a shell', load: () => import('./completion.ts') },
];
