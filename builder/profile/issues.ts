// What the schema found, in words: the key's path, what was expected, and a hint.
import type { z } from 'zod';
import { type Finding, printPath, valueAt } from './finding.ts';
import { didYouMean, hint, inItsForm, placesOf } from './hints.ts';
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
    return issue.keys.map((key) => unknownKey(at, key, known, schema));
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
    return [
      finding({
        at,
        what: `${name} must be ${expected}, not ${kindOf(input)}`,
        why: meaning(here),
        fix:
          at.length === 0 || isSecret(at)
            ? undefined
            : inItsForm(issue.expected, input, source.written(at), here),
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

function unknownKey(at: KeyPath, key: string, known: readonly string[], schema: JsonSchema): Finding {
  const meant = nearest(key, known);
  const elsewhere = placesOf(key, schema);
  return {
    at: [...at, key],
    key: true,
    what: at.length === 0 ? `unknown key ${key}` : `unknown key ${key} in ${printPath(at)}`,
    why: `the keys here are ${known.join(', ')}`,
    fix:
      meant !== undefined
        ? didYouMean(meant)
        : elsewhere.length > 0
          ? didYouMean(elsewhere.join(' or '))
          : 'remove it',
  };
}

/** A message of our own; the library's begin with a word that none of ours does. */
function own(message: string): string | undefined {
  return /^(Invalid|Too|Unrecognized) /.test(message) || message === 'Invalid input' ? undefined : message;
}

function kindOf(input: unknown): string {
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'number' && !Number.isFinite(input)) return String(input);
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
