// How rules see a profile: only values that are right in themselves, so that all rules run whatever else is wrong.
import { z } from 'zod';
import { type Finding, printPath, valueAt } from '../finding.ts';
import type { KeyPath } from '../source.ts';

/** A view of the written values. Those that the schema refused are there, but without a value. */
export interface Look {
  has(path: KeyPath): boolean;
  value(path: KeyPath): unknown;
  text(path: KeyPath): string | undefined;
  number(path: KeyPath): number | undefined;
  flag(path: KeyPath): boolean | undefined;
  /** Paths of a list's items. */
  items(path: KeyPath): readonly KeyPath[];
  /** Paths of a map's values. */
  entries(path: KeyPath): readonly KeyPath[];
  /** Absolute folder of the profile. */
  readonly folder: string;
  /** Names of the boards there are. */
  readonly boards: readonly string[];
}

export type Rule = (look: Look) => readonly Finding[];

/** `wrong` are the paths that the schema refused. */
export function makeLook(
  data: unknown,
  wrong: readonly KeyPath[],
  facts: { readonly folder: string; readonly boards: readonly string[] },
): Look {
  const refused = new Set(wrong.map(printPath));
  const value = (path: KeyPath): unknown => (refused.has(printPath(path)) ? undefined : valueAt(data, path));
  return {
    ...facts,
    value,
    has: (path) => valueAt(data, path) !== undefined,
    text: (path) => z.string().safeParse(value(path)).data,
    number: (path) => z.number().safeParse(value(path)).data,
    flag: (path) => z.boolean().safeParse(value(path)).data,
    items: (path) => {
      const list = valueAt(data, path);
      return Array.isArray(list) ? list.map((_, index) => [...path, index]) : [];
    },
    entries: (path) => {
      const map = valueAt(data, path);
      if (typeof map !== 'object' || map === null || Array.isArray(map)) return [];
      return Object.keys(map).map((key) => [...path, key]);
    },
  };
}

/** Every path of a pattern, in which `*` is each item of a list. */
export function expand(look: Look, pattern: readonly string[]): KeyPath[] {
  return pattern.reduce<KeyPath[]>(
    (paths, step) => paths.flatMap((path) => (step === '*' ? look.items(path) : [[...path, step]])),
    [[]],
  );
}
