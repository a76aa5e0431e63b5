// What all hosts of a lab can do, of whatever kind they are.
import type { Lost } from '../qemu/nbd/write-cache.ts';
import type { Console } from './console.ts';

/** Kinds of hosts: whole machines, or namespaces of this one. */
export const hostKinds = ['qemu', 'namespaces'] as const;
export type HostKind = (typeof hostKinds)[number];

export interface Host {
  readonly kind: HostKind;
  readonly name: string;
  readonly console: Console;
  /** The file with all that the console ever showed. */
  readonly log: string;
  /** The process, while it is powered. Of a host in namespaces it is one that is in all of them. */
  pid(): number | undefined;
  /** Pulls the plug: all its processes die at once. A disk of a machine loses what it was not told to keep; see `Disk`. */
  powerCut(): Promise<Lost | undefined>;
  powerOn(): Promise<void>;
  /** The reset button. */
  reset(): Promise<void>;
  /** Cuts the power, makes its medium as it was flashed, and powers it on. */
  reflash(): Promise<void>;
  /** Settles when it is off: powered down by itself, cut, or fallen over. */
  off(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}
