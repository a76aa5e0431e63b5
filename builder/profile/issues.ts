// What the schema found, in words: the key's path, what was expected, and a hint.
import type { z } from 'zod';
import { type Finding, printPath, valueAt } from './finding.ts';
import { nearest } from './nearest.ts';
import { profileJsonSchema } from './schema/profile.ts';
import { isSecret } from './secrets.ts';
import type { KeyPath, Source } from './source.ts';

type Issue = z.core.$ZodIssue;
type JsonSchema = z.core.JSONSchema.BaseSchema;

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys',
  record: 'a map of keys',
};

/** Every issue of the schema as findings; an issue with several unknown keys gives one for each. */
export function explainIssues(issues: readonly Issue[], source: Source): Finding[] {
  if (issues.length === 0) return [];
  const schema = profileJsonSchema();
  return issues.flatMap((issue) => explain(issue, source, schema));
}

function explain(issue: Issue, source: Source, schema: JsonSchema): Finding[] {
  const at: KeyPath = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const name = at.length === 0 ? 'the profile' : printPath(at);
  const input = valueAt(source.value, at);
  const here = schemaAt(schema, at);
  const shown = isSecret(at) ? 'what is written' : quoted(input);

  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(here?.properties ?? {});
    return issue.keys.map((key) => unknownKey(at, key, known));
  }
  if (input === undefined) {
    const fix = here?.const === undefined ? undefined : `add ${String(at.at(-1))}: ${String(here.const)}`;
    return [finding({ at, what: `${name} is missing`, why: meaning(here), fix })];
  }
  if (input === null) {
    return [
      finding({
        at,
        what: `${name} has no value`,
        why: meaning(here),
        fix: 'give it one, or remove the key',
      }),
    ];
  }
  if (issue.code === 'invalid_type' && own(issue.message) === undefined) {
    const expected = kinds[issue.expected] ?? issue.expected;
    const quote =
      issue.expected === 'string' && typeof input !== 'object'
        ? inQuotes(source.written(at), here)
        : undefined;
    return [
      finding({
        at,
        what: `${name} must be ${expected}, not ${kindOf(input)}`,
        why: meaning(here),
        fix: quote,
      }),
    ];
  }
  if (issue.code === 'invalid_key') {
    const why = `expected ${issue.issues[0]?.message ?? 'another name'}`;
    return [
      {
        at,
        key: true,
        what: `${printPath(at.slice(0, -1))}: the key "${String(at.at(-1))}" is not accepted`,
        why,
      },
    ];
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const meant = typeof input === 'string' ? nearest(input, values) : undefined;
    const why = `expected ${own(issue.message) ?? (values.length > 1 ? `one of ${values.join(', ')}` : values[0])}`;
    const fix = meant === undefined ? undefined : didYouMean(meant);
    return [finding({ at, what: `${name}: ${shown} is not accepted`, why, fix })];
  }
  const why = own(issue.message) === undefined ? meaning(here) : `expected ${issue.message}`;
  return [finding({ at, what: `${name}: ${shown} is not accepted`, why, fix: hint(issue, input) })];
}

/** What a key is there for, as the reason in a problem. */
function meaning(schema: JsonSchema | undefined): string | undefined {
  const text = schema?.description?.replace(/\.$/, '');
  // Only a word such as DNS keeps its capital.
  return text === undefined
    ? undefined
    : `the reference says: ${text.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase())}`;
}

/** A number or the like where text belongs, as it would be accepted; permissions have four digits. */
function inQuotes(written: string, schema: JsonSchema | undefined): string | undefined {
  const pattern = new RegExp(schema?.pattern ?? '');
  const forms = pattern.source === '^[0-7]{4}$' ? [written, written.padStart(4, '0')] : [written];
  const meant = forms.find((form) => pattern.test(form));
  return meant === undefined ? undefined : `put it in quotes: '${meant}'`;
}

function unknownKey(at: KeyPath, key: string, known: readonly string[]): Finding {
  const meant = nearest(key, known);
  return {
    at: [...at, key],
    key: true,
    what: at.length === 0 ? `unknown key ${key}` : `unknown key ${key} in ${printPath(at)}`,
    why: `the keys here are ${known.join(', ')}`,
    fix: meant === undefined ? 'remove it' : didYouMean(meant),
  };
}

/** A hint the schema gave with the issue, or a form of the text that would be accepted. */
function hint(issue: Issue, input: unknown): string | undefined {
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

function didYouMean(word: string): string {
  return `did you mean ${word}?`;
}

/** A message of our own; the library's begin with a word that none of ours does. */
function own(message: string): string | undefined {
  return /^(Invalid|Too|Unrecognized) /.test(message) || message === 'Invalid input' ? undefined : message;
}

function kindOf(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  return kinds[typeof input] ?? typeof input;
}

function quoted(input: unknown): string {
  if (Array.isArray(input)) return input.length === 1 ? 'a list of 1' : `a list of ${input.length}`;
  if (typeof input === 'object') return 'a map of keys';
  const text = typeof input === 'string' ? JSON.stringify(input) : String(input);
  return text.length > 60 ? `${text.slice(0, 57)}…"` : text;
}

/** The part of a JSON Schema that describes a key path. */
function schemaAt(schema: JsonSchema, path: KeyPath): JsonSchema | undefined {
  return path.reduce<JsonSchema | undefined>((here, step) => {
    const next =
      typeof step === 'number' ? here?.items : (here?.properties?.[step] ?? here?.additionalProperties);
    return typeof next === 'object' && !Array.isArray(next) ? next : undefined;
  }, schema);
}

/** Optional fields are left out, not undefined. */
function finding(parts: {
  at: KeyPath;
  what: string;
  why?: string | undefined;
  fix?: string | undefined;
}): Finding {
  const { why, fix, ...rest } = parts;
  return { ...rest, ...(why === undefined ? {} : { why }), ...(fix === undefined ? {} : { fix }) };
}
