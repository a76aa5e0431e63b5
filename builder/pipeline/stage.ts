// A stage: one step of the way from a profile to what leaves. One file you could delete.
import type { z } from 'zod';

/** What a stage is given to work with. All paths are absolute. */
export interface Workshop {
  /** Empty directory that becomes the result when the stage ends well. */
  readonly result: string;
  /** Says how far the stage is: bytes or items done, of how many. */
  progress(done: number, total: number): void;
  /** Something worth a line to the person who builds. */
  say(line: string): void;
  /** Something that the result still waits for, such as the medium. The next stages go on meanwhile; the result counts when it is done. */
  settles(work: Promise<void>): void;
  /** Aborts when the person interrupts. */
  readonly signal: AbortSignal;
}

/**
 * A stage's result is named by the hash of its name, version, options and the digests of its inputs, so the options
 * (whatever `schema` accepts) must hold everything that shapes the result: no clock, no environment, no path of the
 * build machine. Where inputs are on this machine is given apart, as `inputs`.
 */
export interface Stage<Options, Inputs extends Readonly<Record<string, string>>> {
  readonly name: string;
  /** One line for people: what it makes of what. */
  readonly summary: string;
  /** Grows with every change of the code that changes a result. */
  readonly version: number;
  readonly schema: z.ZodType<Options>;
  run(options: Options, inputs: Inputs, workshop: Workshop): Promise<void>;
}
