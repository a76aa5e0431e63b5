// What checks of a profile report: a problem at a key path. Its place in the text is added last.
import type { Problem } from '../../formats/errors.ts';
import type { KeyPath, Source } from './source.ts';

export interface Finding extends Pick<Problem, 'what' | 'why' | 'fix'> {
  readonly at: KeyPath;
  /** Whether the key itself is wrong, not its value. */
  readonly key?: boolean;
  /** A second place that has to do with it. */
  readonly also?: KeyPath;
}

/** Findings as problems with their places, in the order of the text. */
export function place(findings: readonly Finding[], source: Source): Problem[] {
  return findings
    .map(({ at, key, also, ...problem }) => {
      const here = key === true ? source.locateKey(at) : source.locate(at);
      const there = also === undefined ? undefined : source.locate(also);
      // The second place is shown like the first, below it.
      const excerpt =
        there === undefined ? here.excerpt : `${here.excerpt}\n${there.where}:\n${there.excerpt}`;
      return { offset: source.offsetOf(at), problem: { ...problem, where: here.where, excerpt } };
    })
    .sort((a, b) => a.offset - b.offset)
    .map((entry) => entry.problem);
}

/** A key path as people write it: `devices[1].name`, `labels["example.com/role"]`. */
export function printPath(path: KeyPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    if (!/^[\w-]+$/.test(step)) return `${text}[${JSON.stringify(step)}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** The value at a path of plain data; undefined where there is none. */
export function valueAt(data: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, step) => {
    if (Array.isArray(value)) return typeof step === 'number' ? value[step] : undefined;
    if (typeof value !== 'object' || value === null) return undefined;
    return Object.hasOwn(value, step) ? Object.entries(value).find(([key]) => key === step)?.[1] : undefined;
  }, data);
}
