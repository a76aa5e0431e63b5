// No space left in every stage of a build: it ends with 6 and says so, and leaves nothing half-made. Results and output are
// on a tmpfs of their own, which is filled to the last page.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeFolder } from '../../builder/artifacts/store.ts';
import { copyQuickstartLock } from './site.ts';

const root = join(import.meta.dirname, '../..');
const work = mkdtempSync(join(tmpdir(), 'edgekiln-space-'));
const room = join(work, 'room');
const store = join(room, 'store');
const output = join(room, 'output', 'tight');
const profile = join(work, 'tight.yaml');
const filler = join(room, 'filler');

interface Ended {
  readonly status: number | null;
  /** Stages that did work, in order. */
  readonly worked: readonly string[];
  readonly stderr: string;
}

function build(): Ended {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      join(root, 'dist/edgekiln.mjs'),
      'build',
      profile,
      '-o',
      join(room, 'output'),
      '--offline',
      '--progress=json',
    ],
    {
      cwd: work,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      env: { ...process.env, EDGEKILN_STORE: store, EDGEKILN_KEYS: join(work, 'keys') },
    },
  );
  const worked = stderr
    .trim()
    .split('\n')
    .map((line): { event?: string; stage?: string; cached?: boolean } => JSON.parse(line))
    .filter(({ event, cached }) => event === 'finished' && cached === false)
    .map(({ stage = '' }) => stage);
  return { status, worked, stderr };
}

const digests = (): string => readFileSync(join(output, 'SHA256SUMS'), 'utf8');

/** In the order in which they are; what each leaves by. */
const stages: readonly (readonly [stage: string, left: () => string[]])[] = [
  ['images', () => results('images')],
  ['base', () => results('base')],
  ['programs', () => results('programs')],
  ['tree', () => results('tree')],
  ['initrd', () => results('initrd')],
  ['slot', () => results('slot')],
  ['disk', () => [join(output, '.edgekiln-qemu-x86_64.json')]],
  ['bmap', () => [join(output, '.edgekiln-qemu-x86_64-bmap.json')]],
  ['digest', () => results('digest')],
  ['zip', () => [join(output, '.edgekiln-qemu-x86_64-zip.json')]],
  ['zst', () => [join(output, '.edgekiln-qemu-x86_64-zst.json'), join(store, 'results/chunks')]],
  ['manifest', () => [join(output, '.edgekiln-manifest.json')]],
];

function results(stage: string): string[] {
  const folder = join(store, 'results');
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${stage}-`))
    .map((name) => join(folder, name));
}

const partials = (): string[] =>
  [output, join(store, 'results')].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.partial')),
  );

describe.skipIf(process.getuid?.() !== 0)('with no space left', () => {
  let whole: string;
  beforeAll(() => {
    mkdirSync(room);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6g', 'edgekiln-test', room]);
    mkdirSync(store);
    symlinkSync(join(storeFolder(), 'sha256'), join(store, 'sha256'));
    copyQuickstartLock(join(work, 'tight.lock.yaml'));
    writeFileSync(
      profile,
      `apiVersion: edgekiln/v1
site: {name: tight}
board: qemu-x86_64
k3s: {standIn: true}
devices: [{name: alpha}, {name: beta}]
slots: {size: 704MiB}
outputs: [image, zip, zst, bmap]
`,
    );
    const first = build();
    expect(first.status, first.stderr).toBe(0);
    whole = digests();
  }, 600_000);

  afterAll(() => {
    execFileSync('umount', [room]);
    rmSync(work, { recursive: true, force: true });
  });

  // From the last to the first: each time one stage more has to work again, and cannot.
  it.each([...stages].reverse())('in %s', (stage, left) => {
    for (const path of left()) rmSync(path, { recursive: true });
    spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k', 'status=none'], { stdio: 'ignore' });
    const { status, worked, stderr } = build();
    const names = partials();
    rmSync(filler);
    expect(stderr.split('\n').at(-2), stage).toMatch(/no space left/i);
    expect([status, worked, names]).toEqual([6, [], []]);
  });

  it('no more: the next build makes the same as the first', () => {
    const { status, worked, stderr } = build();
    expect(status, stderr).toBe(0);
    expect([...worked].sort()).toEqual(stages.map(([stage]) => stage).sort());
    expect(digests()).toBe(whole);
  }, 300_000);
});
