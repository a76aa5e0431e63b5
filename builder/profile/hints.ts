// What was probably meant, where the schema refuses something: another form, another place, another spelling.
import type { z } from 'zod';
import { printPath } from './finding.ts';
import { nearest } from './nearest.ts';
import type { KeyPath } from './source.ts';

type Issue = z.core.$ZodIssue;
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** How a plain value would be written as what was expected: in quotes, as a list, or under a key. */
export function inItsForm(
  expected: string,
  input: unknown,
  written: string,
  schema: JsonSchema | undefined,
): string | undefined {
  if (typeof input === 'object') return undefined;
  if (expected === 'string') return inQuotes(written, schema);
  if (expected === 'array') return `make it a list: [${written}]`;
  const keys = Object.keys(schema?.properties ?? {});
  const needed = schema?.required ?? keys;
  const only = needed.length === 1 ? needed[0] : undefined;
  if (expected !== 'object' || keys.length === 0) return undefined;
  return only === undefined
    ? `write keys below it: ${keys.join(', ')}`
    : `did you mean { ${only}: ${written} }?`;
}

/** A number or the like where text belongs, as it would be accepted; permissions have four digits. */
function inQuotes(written: string, schema: JsonSchema | undefined): string | undefined {
  const pattern = new RegExp(schema?.pattern ?? '');
  const forms = pattern.source === '^[0-7]{4}$' ? [written, written.padStart(4, '0')] : [written];
  const meant = forms.find((form) => pattern.test(form));
  return meant === undefined ? undefined : `put it in quotes: '${meant}'`;
}

/** Where a key of this name is known, in maps that are there once: lists have no single place to name. */
export function placesOf(key: string, schema: JsonSchema, path: KeyPath = []): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) => {
    if (typeof below !== 'object') return [];
    const here = [...path, name];
    const within = placesOf(key, below, here);
    return name === key && path.length > 0 ? [printPath(here), ...within] : within;
  });
}

/** A hint the schema gave with the issue, or a form of the text that would be accepted. */
export function hint(issue: Issue, input: unknown): string | undefined {
  if (issue.code === 'custom')
    return typeof issue.params?.['fix'] === 'string' ? issue.params['fix'] : undefined;
  if (issue.code !== 'invalid_format' || issue.format !== 'regex' || typeof input !== 'string')
    return undefined;
  const pattern = new RegExp(issue.pattern?.slice(1, -1) ?? '(?!)');
  const slug = input
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  const size = `${input.replace(/\s*([kmgKMG])i?[bB]?$/, (_, unit: string) => `${unit.toUpperCase()}iB`)}`;
  const release = `v${input.replace(/^v/, '').replace('-k3s', '+k3s')}`;
  const releases = /^v?\d/.test(input) ? [release, `${release}+k3s1`] : [];
  const placeholders = input.replace(/\{(\w+)\}/g, (whole, word: string) => {
    const meant = nearest(word, ['site', 'device']);
    return meant === undefined ? whole : `{${meant}}`;
  });
  const forms = [input.trim(), input.toLowerCase(), size, ...releases, placeholders, slug];
  const meant = forms.find((form) => form !== input && pattern.test(form));
  return meant === undefined ? undefined : didYouMean(meant);
}

export function didYouMean(word: string): string {
  return `did you mean ${word}?`;
}
