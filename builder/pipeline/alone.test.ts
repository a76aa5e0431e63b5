import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { refusalOf } from '../profile/refusal.fixture.ts';
import { aloneIn } from './alone.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgekiln-alone-'));
afterAll(() => rmSync(folder, { recursive: true }));

const said: string[] = [];
const build = <Result>(work: () => Promise<Result>) => aloneIn(folder, (line) => said.push(line), work);
const refusal = () => refusalOf(folder, () => build(async () => {}));
const busy = (pid: number | undefined) =>
  '6: .: another build is at work in this output folder\n' +
  `  because: process ${pid} builds into it, and files of two builds would mix\n` +
  '  to do: wait until it has ended, or give another folder with --output';

it('a second build in an output folder', async () => {
  await build(async () => {
    expect(await refusal()).toBe(busy(process.pid));
    expect(await refusal(), 'who was refused holds nothing, and lets go of nothing').toBe(busy(process.pid));
  });
  await expect(build(() => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
  expect(await build(async () => 'done')).toBe('done');
  expect(said).toEqual([]);
});

it('a build that was killed keeps nobody from the folder', async () => {
  const code = `
    import { aloneIn } from ${JSON.stringify(join(import.meta.dirname, 'alone.ts'))};
    await aloneIn(process.argv[1], () => {}, async () => {
      console.log('at work');
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`;
  const node = ['--import', 'tsx', '--input-type=module', '-e', code, folder];
  const other = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(other.stdout, 'data');
  expect(await refusal()).toBe(busy(other.pid));
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await build(async () => 'done')).toBe('done');
});
