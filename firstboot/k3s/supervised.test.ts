import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type K3sPaths, k3sPaths } from './paths.ts';
import { SupervisedUnits } from './supervised.ts';

let root: string;
let paths: K3sPaths;
const opened: SupervisedUnits[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekiln-supervised-'));
  paths = k3sPaths(root);
  for (const file of [paths.program, paths.process, paths.log]) mkdirSync(dirname(file), { recursive: true });
  // Says who it is, and ends when it is told to or when its file `end` is there.
  writeFileSync(
    paths.program,
    `#!/bin/sh\ntrap 'echo told; exit' TERM\necho "$1 $$ $GOGC"\nwhile [ ! -e ${root}/end ]; do sleep 0.1; done\n`,
  );
  chmodSync(paths.program, 0o755);
});
afterEach(async () => {
  for (const units of opened.splice(0)) await units.stop();
  rmSync(root, { recursive: true });
});

function open(): SupervisedUnits {
  const units = new SupervisedUnits(paths);
  opened.push(units);
  return units;
}
/** Whole lines of the log. It is there, and empty, before the program says anything. */
const said = (): string[] =>
  existsSync(paths.log) ? readFileSync(paths.log, 'utf8').split('\n').slice(0, -1) : [];
const until = (holds: () => void) => vi.waitFor(holds, { timeout: 40_000, interval: 50 });
const alive = (pid: number): boolean => existsSync(`/proc/${pid}`);

test('runs k3s in its role, with the settings of its environment, and stops it', async () => {
  writeFileSync(paths.environment, 'GOGC=50\n');
  const units = open();
  expect(await units.running()).toBeUndefined();
  await units.start('agent');
  await until(() => expect(said()).toEqual([expect.stringMatching(/^agent \d+ 50$/)]));
  expect(await units.running()).toBe('agent');
  const pid = Number(said()[0]?.split(' ')[1]);
  await units.stop();
  expect([alive(pid), await units.running(), existsSync(paths.process)]).toEqual([false, undefined, false]);
  expect(said()[1]).toBe('told');
});

test('an agent that starts anew finds it again and starts no second one', async () => {
  const before = open();
  await before.start('server');
  await until(() => expect(said().length).toBe(1));
  before.leave();
  const after = open();
  expect(await after.running()).toBe('server');
  await after.start('server');
  expect(said().length).toBe(1);
});

test('a number that is used again by another process is not taken for it', async () => {
  writeFileSync(paths.process, JSON.stringify({ pid: process.pid, started: '1', role: 'server' }));
  expect(await open().running()).toBeUndefined();
});

test('the other role takes its place', async () => {
  const units = open();
  await units.start('agent');
  await until(() => expect(said().length).toBe(1));
  await units.start('server');
  await until(() => expect(said().map((line) => line.split(' ')[0])).toEqual(['agent', 'told', 'server']));
  expect(await units.running()).toBe('server');
});

test('one that ends by itself is started again, as its unit would', async () => {
  const units = open();
  await units.start('server');
  await until(() => expect(said().length).toBe(1));
  writeFileSync(join(root, 'end'), '');
  const pid = Number(said()[0]?.split(' ')[1]);
  await until(() => expect(alive(pid)).toBe(false));
  rmSync(join(root, 'end'));
  expect(await units.running()).toBe('server');
  await until(() => expect(said().length).toBe(2));
});
