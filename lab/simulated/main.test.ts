// Schedules from files: what is wrong with one is said in full, with exit code 2.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'schedule-'));
afterAll(() => rmSync(folder, { recursive: true }));

function simulate(text: string): { code: number | null; out: string; err: string } {
  const file = join(folder, 'schedule.json');
  writeFileSync(file, text);
  return simulateWith('--schedule', file);
}

function simulateWith(...options: string[]): { code: number | null; out: string; err: string } {
  const tsx = join(import.meta.dirname, '../../node_modules/.bin/tsx');
  const run = spawnSync(tsx, [join(import.meta.dirname, 'main.ts'), ...options], { encoding: 'utf8' });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

it('runs a good one; the last line is JSON', () => {
  const schedule = [1, 2, 3].map((device) => ({ at: 0, event: 'power-on', device }));
  const { code, out } = simulate(JSON.stringify({ version: 1, devices: 3, schedule }));
  expect(code).toBe(0);
  expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toMatchObject({ seeds: 1, violations: 0 });
}, 60_000);

it.each([
  ['nothing happens to it', []],
  [
    'faults on top of each other, and out of order',
    [
      { at: 50, event: 'power-on', device: 2 },
      { at: 1, event: 'flash', device: 1 },
      { at: 1, event: 'flash', device: 1 },
      { at: 1, event: 'power-off', device: 1 },
      { at: 2, event: 'pause', device: 1, for: 0 },
      { at: 2, event: 'partition', sides: [] },
      { at: 2, event: 'partition', sides: [[1], [1, 2], [], [3]] },
      { at: 2, event: 'one-way', device: 1, to: 1 },
      { at: 2, event: 'port-up', device: 3 },
      { at: 2, event: 'resolve', device: 3 },
      { at: 9_000_000, event: 'power-on', device: 3 },
    ],
  ],
])(
  'runs a wild one: %s',
  (_, schedule) => {
    const { code, out } = simulate(JSON.stringify({ version: 1, devices: 3, schedule }));
    expect(out).toContain('"violations":0');
    expect(code).toBe(0);
  },
  60_000,
);

it.each([
  ['nonsense', 'the schedule is not JSON'],
  ['[]', 'expected object'],
  ['{"version": 2, "devices": 3, "schedule": []}', 'version'],
  ['{"version": 1, "devices": 0, "schedule": []}', 'devices'],
  [
    '{"version": 1, "devices": 3, "policy": "designated: 9", "schedule": []}',
    'device 9 is not on this site of 3',
  ],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": 1, "event": "power-on", "device": 4}]}',
    'schedule.0.device',
  ],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": 1, "event": "partition", "sides": [[1], [2, 9]]}]}',
    'device 9 is not on this site of 3',
  ],
  ['{"version": 1, "devices": 2, "workers": [1, 2], "schedule": []}', 'somebody must be able to found'],
  [
    '{"version": 1, "devices": 3, "workers": [2], "policy": "designated: 2", "schedule": []}',
    'device 2 is a worker and never founds',
  ],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": 1, "event": "roster", "device": 1, "epoch": 2, "electors": []}]}',
    '1 to 7 can decide',
  ],
  [
    '{"version": 1, "devices": 3, "enrolment": "claimed", "policy": "designated: 2", "schedule": []}',
    'a claimed site has nobody to name',
  ],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": -1, "event": "power-on", "device": 1}]}',
    'schedule.0.at',
  ],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": 1, "event": "explode", "device": 1}]}',
    'schedule.0.event',
  ],
  ['{"version": 1, "devices": 3, "polcy": "majority", "schedule": []}', 'Unrecognized key: "polcy"'],
  [
    '{"version": 1, "devices": 3, "schedule": [{"at": 1, "event": "steal", "device": 1, "silnt": true}]}',
    'schedule.0: Unrecognized key: "silnt"',
  ],
  ['{"version": 1, "devices": 3, "electors": [1, 1], "schedule": []}', 'an elector is named twice'],
])(
  'refuses %s',
  (text, says) => {
    const { code, err } = simulate(text);
    expect(err).toContain(says);
    expect(err).not.toContain('    at ');
    expect(code).toBe(2);
  },
  60_000,
);

it.each([
  [['--sed', '3'], "Unknown option '--sed'"],
  [['--schedule'], 'argument missing'],
  [['--seeds', '5', '--workers', '0'], '--workers takes 1 or more'],
  [['--seeds', ''], '--seeds takes a whole number'],
  [['--seeds', '5', '--from', '9007199254740990'], 'seeds end at 2^53'],
  [['--seed', '3', '--seeds', '5'], 'only one of --seeds, --seed, --schedule and --sites can be run'],
  [['--seed', '3', '--claimed'], '--claimed goes with --sites only'],
  [['--seeds', '5', '--timeline'], '--timeline goes with --seed, --schedule or --sites only'],
  [['--seed', '3', '--from', '5'], '--from and --workers go with --seeds only'],
])(
  'refuses %s',
  (options, says) => {
    const { code, err } = simulateWith(...options);
    expect(err).toContain(says);
    expect(err).not.toContain('    at ');
    expect(code).toBe(2);
  },
  60_000,
);
