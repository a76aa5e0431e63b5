// Proof that the power cuts can find a fault: each mutant lets go of one thing that the boot path does against a power
// cut. `npm run test:power -- --mutant NAME --cuts 6 --seed 1` builds a copy of this tree with it and must see it caught.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

interface Mutant {
  readonly weakened: string;
  readonly file: string;
  /** Text that occurs once in the file, and what takes its place. */
  readonly from: string;
  readonly to: string;
  /** The instants at which it is to be caught. */
  readonly instants: readonly string[];
}

export const mutants: Readonly<Record<string, Mutant>> = {
  'unsynced-state': {
    weakened: 'the agent writes the boot state to the kernel and not to the disk',
    file: 'firstboot/slots/disk.ts',
    from: 'constants.O_RDWR | constants.O_SYNC',
    to: 'constants.O_RDWR',
    instants: ['confirmed'],
  },
  'unsynced-files': {
    weakened: 'a file that is replaced on data is renamed before it is on the disk',
    file: 'firstboot/boot/replace.ts',
    from: '    await file.sync();\n',
    to: '',
    instants: ['the first word', 'the first minute'],
  },
  'forgotten-making': {
    weakened: 'the initrd does not remember that data was being made',
    file: 'overlays/initrd/init',
    from: 'making() { dd ',
    to: 'making() { return 1; dd ',
    instants: ['making data', 'making data again'],
  },
};

const root = join(import.meta.dirname, '../..');
const leftOut = new Set(['node_modules', '.git', 'dist', 'output']);

/** The file of a mutant, weakened; fails when its text is not there exactly once any more. */
export function weakened({ file, from, to }: Mutant): string {
  const [before, after, ...more] = readFileSync(join(root, file), 'utf8').split(from);
  if (before === undefined || after === undefined || more.length > 0)
    throw new Error(`${file} does not have exactly once: ${from}`);
  return `${before}${to}${after}`;
}

/** Cuts the power of devices that have this fault, until something is wrong; gives whether it was. */
export function isCaught(name: string, cuts: string, seed: string): boolean {
  const mutant = mutants[name];
  if (mutant === undefined) throw new Error(`no such mutant; there are ${Object.keys(mutants).join(', ')}`);
  const text = weakened(mutant);
  const folder = mkdtempSync(join(tmpdir(), 'edgekiln-mutant-'));
  try {
    cpSync(root, folder, { recursive: true, filter: (path) => !leftOut.has(relative(root, path)) });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, mutant.file), text);
    execFileSync(process.execPath, ['build.mjs'], { cwd: folder, stdio: 'inherit' });
    const only = mutant.instants.flatMap((instant) => ['--only', instant]);
    const options = ['--cuts', cuts, '--seed', seed, '--till-wrong', ...only];
    const run = spawnSync(process.execPath, ['--import', 'tsx', 'test/chains/power.ts', ...options], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    console.log(run.stdout.trimEnd());
    const report: unknown = JSON.parse(run.stdout);
    if (typeof report !== 'object' || report === null || !('complaints' in report))
      throw new Error('the cuts ended without a report');
    return Array.isArray(report.complaints) && report.complaints.length > 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
