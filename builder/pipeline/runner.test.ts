import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { OutputFolder } from './output.ts';
import { canonicalJson, resultKey } from './results.ts';
import { type Finish, type Reporter, Runner } from './runner.ts';
import type { Stage } from './stage.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runner-'));
});
afterEach(() => rm(folder, { recursive: true }));

let runs = 0;
const shout: Stage<{ text: string }, { readonly source: string }> = {
  name: 'shout',
  summary: 'makes letters large',
  version: 1,
  schema: z.strictObject({ text: z.string() }),
  async run(options, inputs, workshop) {
    runs++;
    if (options.text === 'fail') throw new Failure('input', { what: 'as asked' });
    await writeFile(
      join(workshop.result, 'out.txt'),
      (options.text + (await readFile(inputs.source, 'utf8'))).toUpperCase(),
    );
  },
};

function recorder(): Reporter & { ends: Finish[] } {
  const ends: Finish[] = [];
  return { ends, started() {}, progress() {}, say() {}, finished: (_, how) => ends.push(how) };
}

function runnerWith(reporter: Reporter, signal = new AbortController().signal): Runner {
  return new Runner({ store: join(folder, 'store'), reporter, signal });
}

async function source(text = 'x') {
  const path = join(folder, 'source');
  await writeFile(path, text);
  return { source: { path, digest: text } };
}

describe('a runner', () => {
  it('takes an option of no value as one that is left out', async () => {
    const lax: Stage<{ text?: string | undefined }, { readonly source: string }> = {
      ...shout,
      schema: z.strictObject({ text: z.string().optional() }),
      run: async () => {},
    };
    const runner = runnerWith(recorder());
    const made = await runner.run(lax, { text: undefined }, await source());
    expect(await runner.run(lax, {}, await source())).toEqual(made);
    expect(runner.records.map(({ options }) => options)).toEqual([{}, {}]);
  });

  it('makes a result once and takes it from the store the next time', async () => {
    const reporter = recorder();
    runs = 0;
    const first = await runnerWith(reporter).run(shout, { text: 'a' }, await source());
    const second = await runnerWith(reporter).run(shout, { text: 'a' }, await source());
    expect(second).toEqual(first);
    expect(await readFile(join(first.path, 'out.txt'), 'utf8')).toBe('AX');
    expect(runs).toBe(1);
    expect(reporter.ends.map((end) => end.cached)).toEqual([false, true]);
  });

  it('makes it anew for another option, input or version of the stage', async () => {
    const runner = runnerWith(recorder());
    runs = 0;
    await runner.run(shout, { text: 'a' }, await source('x'));
    await runner.run(shout, { text: 'b' }, await source('x'));
    await runner.run(shout, { text: 'a' }, await source('y'));
    await runner.run({ ...shout, version: 2 }, { text: 'a' }, await source('x'));
    expect(runs).toBe(4);
  });

  it('makes it anew where its files are not as it left them', async () => {
    const runner = runnerWith(recorder());
    runs = 0;
    const { path } = await runner.run(shout, { text: 'a' }, await source());
    await writeFile(join(path, 'out.txt'), '');
    await runner.run(shout, { text: 'a' }, await source());
    expect(await readFile(join(path, 'out.txt'), 'utf8')).toBe('AX');
    expect(runs).toBe(2);
  });

  it('keeps nothing of a stage that failed', async () => {
    await expect(runnerWith(recorder()).run(shout, { text: 'fail' }, await source())).rejects.toThrow(
      'as asked',
    );
    expect(await readdir(join(folder, 'store'))).toEqual([]);
  });

  it('keeps nothing of a stage that was interrupted', async () => {
    const abort = new AbortController();
    const slow: typeof shout = {
      ...shout,
      async run() {
        abort.abort();
      },
    };
    const error = await runnerWith(recorder(), abort.signal)
      .run(slow, { text: 'a' }, await source())
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ kind: 'interrupted' });
    expect(await readdir(join(folder, 'store'))).toEqual([]);
  });
});

describe('an output folder', () => {
  const output = () => new OutputFolder(join(folder, 'out'), 'part');
  const run = async (text: string) => {
    const runner = runnerWith(recorder());
    await runner.run(shout, { text }, await source(), output());
    await runner.settled();
  };

  const lazyUntil = (medium: Promise<void>): typeof shout => ({
    ...shout,
    async run(options, inputs, workshop) {
      await shout.run(options, inputs, workshop);
      workshop.settles(medium);
    },
  });

  it('counts as a build when what its stage left to the medium is done', async () => {
    for (const fails of [true, false]) {
      let end = (): void => {};
      const medium = new Promise<void>((resolve, reject) => {
        end = () => (fails ? reject(new Failure('io', { what: 'lost' })) : resolve());
      });
      const runner = runnerWith(recorder());
      const { path, digest } = await runner.run(lazyUntil(medium), { text: 'a' }, await source(), output());
      expect(await readFile(join(path, 'out.txt'), 'utf8')).toBe('AX');
      expect(await output().find(digest)).toBe(undefined);
      end();
      if (fails) await expect(runner.settled()).rejects.toMatchObject({ kind: 'io' });
      else await runner.settled();
      expect(await output().find(digest)).toBe(fails ? undefined : path);
      expect((await readdir(path)).filter((name) => name.endsWith('.partial'))).toEqual([]);
    }
  });

  it('tells of a file that went before it was on the medium, and counts as no build', async () => {
    let end = (): void => {};
    const medium = new Promise<void>((resolve) => {
      end = resolve;
    });
    const runner = runnerWith(recorder());
    const { path, digest } = await runner.run(lazyUntil(medium), { text: 'a' }, await source(), output());
    await rm(join(path, 'out.txt'));
    end();
    await expect(runner.settled()).rejects.toMatchObject({
      kind: 'io',
      problems: [{ what: 'a file that was just made is not there any more', where: join(path, 'out.txt') }],
    });
    expect(await readdir(path)).toEqual([]);
    expect(await output().find(digest)).toBe(undefined);
  });

  it('is not built again while its files are as they were', async () => {
    runs = 0;
    await run('a');
    await run('a');
    expect(runs).toBe(1);
    await utimes(join(folder, 'out', 'out.txt'), 1, 1);
    await run('a');
    expect(runs).toBe(2);
    await rm(join(folder, 'out', 'out.txt'));
    await run('a');
    expect(runs).toBe(3);
  });

  it('loses nothing that it did not make, and what a failed build left is swept', async () => {
    await run('a');
    await writeFile(join(folder, 'out', 'notes.txt'), 'mine');
    await run('fail').catch(() => {});
    expect(await readFile(join(folder, 'out', 'out.txt'), 'utf8')).toBe('AX');
    await run('b');
    expect((await readdir(join(folder, 'out'))).sort()).toEqual([
      '.edgekiln-part.json',
      'notes.txt',
      'out.txt',
    ]);
    expect(await readFile(join(folder, 'out', 'out.txt'), 'utf8')).toBe('BX');
  });
});

describe('the name of a result', () => {
  it('does not depend on the order of keys', () => {
    expect(canonicalJson({ b: 1, a: { d: [1, { z: 1, y: 2 }], c: null } })).toBe(
      '{"a":{"c":null,"d":[1,{"y":2,"z":1}]},"b":1}',
    );
    const identity = { stage: 's', version: 1, options: { a: 1, b: 2 }, inputs: {} };
    expect(resultKey(identity)).toBe(resultKey({ ...identity, options: { b: 2, a: 1 } }));
  });
});
