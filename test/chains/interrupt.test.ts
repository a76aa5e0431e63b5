// Ctrl-C in every stage of a build: it ends with 130, leaves nothing half-made, and the next build goes on from there.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storeFolder } from '../../builder/artifacts/store.ts';
import { copyQuickstartLock } from './site.ts';

const root = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'edgekiln-interrupt-'));
const store = join(work, 'store');
const output = join(work, 'output', 'stall');
const profile = join(work, 'stall.yaml');

beforeAll(() => {
  // Artifacts are there, results are not: every stage has to work.
  mkdirSync(join(store, 'sha256'), { recursive: true });
  execFileSync('cp', ['-rl', `${join(storeFolder(), 'sha256')}/.`, join(store, 'sha256')]);
  copyQuickstartLock(join(work, 'stall.lock.yaml'));
  writeFileSync(
    profile,
    `apiVersion: edgekiln/v1
site: {name: stall}
board: qemu-x86_64
k3s: {standIn: true}
devices: [{name: alpha}]
slots: {size: 704MiB}
outputs: [image, zip, zst, bmap]
`,
  );
}, 120_000);

afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  /** Stages that did work, in order. */
  readonly worked: readonly string[];
  readonly stderr: string;
}

/** Builds; presses Ctrl-C when `stage` has begun. */
async function build(stage?: string): Promise<Ended> {
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist/edgekiln.mjs'),
      'build',
      profile,
      '-o',
      join(work, 'output'),
      '--offline',
      '--progress=json',
    ],
    { cwd: work, env: { ...process.env, EDGEKILN_STORE: store, EDGEKILN_KEYS: join(work, 'keys') } },
  );
  const worked: string[] = [];
  let stderr = '';
  createInterface(child.stderr).on('line', (line) => {
    stderr += `${line}\n`;
    if (!line.startsWith('{')) return;
    const event: { event?: string; stage?: string; cached?: boolean } = JSON.parse(line);
    if (event.event === 'started' && event.stage === stage) child.kill('SIGINT');
    if (event.event === 'finished' && event.cached === false) worked.push(event.stage ?? '');
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, worked, stderr };
}

const stages = [
  'images',
  'base',
  'programs',
  'tree',
  'initrd',
  'slot',
  'disk',
  'bmap',
  'digest',
  'zip',
  'zst',
] as const;

it.each(stages)(
  'in %s',
  async (stage) => {
    const { status, worked, stderr } = await build(stage);
    expect(status, stderr).toBe(130);
    expect(worked).not.toContain(stages.at(stages.indexOf(stage) + 1) ?? 'manifest');
    // What claims a whole build is not there, and nothing half-made has a name of its own.
    expect(existsSync(join(output, 'SHA256SUMS'))).toBe(false);
    for (const folder of [output, join(store, 'results')])
      expect(
        existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.partial')) : [],
      ).toEqual([]);
  },
  300_000,
);

it('and the last build has only the rest to do', async () => {
  const { status, worked, stderr } = await build();
  expect(status, stderr).toBe(0);
  expect(worked).not.toContain('base');
  expect(worked).toContain('manifest');
  execFileSync('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: output });
  // Whichever of the stages that run side by side was quicker: one more has nothing to do.
  expect((await build()).worked).toEqual([]);
}, 300_000);
