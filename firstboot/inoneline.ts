import { Failure } from '../formats/errors.ts';

/** An error as one line for the status and the journal: what, where and why; a bug without its stack. */
export function inOneLine(error: unknown): string {
  if (!(error instanceof Failure)) return error instanceof Error ? error.message : String(error);
  return error.problems
    .map(
      ({ what, where, why }) =>
        `${where === undefined ? '' : `${where}: `}${what}${why === undefined ? '' : `: ${why}`}`,
    )
    .join('; ');
}
