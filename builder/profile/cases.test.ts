// The registry of profiles. A good one has the profile it becomes beside it, a bad one the exact text that a person sees.
// After a change of messages: `npx vitest run builder/profile -u`, and read the difference.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, renderError } from '../../formats/errors.ts';
import { parseProfile } from './load.ts';

const folder = join(import.meta.dirname, 'cases');
const boards = ['board-a', 'board-b'];
const named = (prefix: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && name.endsWith('.yaml'))
    .map((name) => name.replace(/\.yaml$/, ''));

/** Loads a case under a name that is the same on every machine. */
function load(name: string) {
  return parseProfile(readFileSync(join(folder, `${name}.yaml`)), `/site/${name}.yaml`, boards);
}

describe('good profiles', () => {
  it.each(named('good-'))('%s', async (name) => {
    const text = `${JSON.stringify(load(name).profile, undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot(join(folder, `${name}.txt`));
  });
});

describe('bad profiles', () => {
  it.each(named('bad-'))('%s', async (name) => {
    const error = thrown(() => load(name));
    expect(exitCodeOf(error)).toBe(2);
    await expect(`${renderError(error)}\n`).toMatchFileSnapshot(join(folder, `${name}.txt`));
  });

  it('shows all of twenty and more faults, each at its place', () => {
    const text = renderError(thrown(() => load('bad-twenty')));
    const places = [...text.matchAll(/^\/site\/bad-twenty\.yaml:(\d+):(\d+): /gm)];
    expect(places.length).toBeGreaterThanOrEqual(20);
    const lines = readFileSync(join(folder, 'bad-twenty.yaml'), 'utf8').split('\n');
    for (const [, line, column] of places) {
      expect(lines[Number(line) - 1]?.[Number(column) - 1]).toMatch(/\S/);
    }
  });
});

it('every file of the registry is used', () => {
  const known = [...named('good-'), ...named('bad-')].flatMap((name) => [`${name}.yaml`, `${name}.txt`]);
  expect(readdirSync(folder).sort()).toEqual(known.sort());
});

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was wrong');
}
