import { expect, it } from 'vitest';
import { z } from 'zod';
import { parseProfile } from '../load.ts';
import { pathKeys } from '../rules/contents.ts';
import { starterProfile } from '../starter.ts';
import { path } from './fields.ts';
import { profileJsonSchema } from './profile.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Every key of the schema with its path; `*` stands for the items of a list and the values of a free map. */
function keysOf(
  schema: JsonSchema,
  at: readonly string[] = [],
): { at: readonly string[]; schema: JsonSchema }[] {
  const { properties = {}, items, additionalProperties } = schema;
  const inner = [...Object.entries(properties), ['*', items] as const, ['*', additionalProperties] as const];
  return inner.flatMap(([key, value]) => {
    if (typeof value !== 'object' || Array.isArray(value)) return [];
    const path = [...at, key];
    return [{ at: path, schema: value }, ...keysOf(value, path)];
  });
}

const keys = keysOf(profileJsonSchema());

it('is draft-7, and strict in every map of keys', () => {
  expect(profileJsonSchema().$schema).toBe('http://json-schema.org/draft-07/schema#');
  const maps = keys.filter(({ schema }) => schema.properties !== undefined);
  expect(maps.length).toBeGreaterThan(15);
  expect(maps.filter(({ schema }) => schema.additionalProperties !== false)).toEqual([]);
});

it('describes every key', () => {
  const silent = keys.filter(({ at, schema }) => at.at(-1) !== '*' && !schema.description?.endsWith('.'));
  expect(silent.map(({ at }) => at.join('.'))).toEqual([]);
  expect(keys.length).toBeGreaterThan(90);
});

it('knows every key that is a path of the build machine', () => {
  // A path is known by its pattern, which nothing else has.
  const { pattern } = z.toJSONSchema(path('a file'));
  expect(pattern).toBeTypeOf('string');
  const paths = keys
    .filter(({ schema }) => schema.pattern === pattern)
    .map(({ at }) => at.join('.'))
    .filter((at) => at !== 'folders.*');
  expect(paths.sort()).toEqual(pathKeys.map((at) => at.join('.')).sort());
});

it('the profile of init is valid, with its examples uncommented as well', () => {
  const load = (text: string) => parseProfile(new TextEncoder().encode(text), 'shop.yaml').profile;
  const text = starterProfile('shop');
  expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./edgekiln.schema.json');
  expect(load(text)).toMatchObject({ site: { name: 'shop' }, devices: { length: 3 }, servers: { count: 3 } });
  const uncommented = text.replace(/^#(?! \S)/gm, '');
  expect(uncommented).not.toBe(text);
  expect(load(uncommented)).toMatchObject({ formation: { policy: 'designated' }, users: { length: 1 } });
});
