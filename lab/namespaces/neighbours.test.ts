import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { NeighbourTables } from './neighbours.ts';

/** A stand-in for /proc/sys/net with the kernel's usual bounds, for the families named. */
function kernel(...families: readonly string[]): { root: string; bounds: () => Record<string, number[]> } {
  const root = mkdtempSync(join(tmpdir(), 'edgekiln-neighbours-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const file = (family: string, number: number) => join(root, family, 'neigh/default', `gc_thresh${number}`);
  for (const family of families) {
    mkdirSync(join(root, family, 'neigh/default'), { recursive: true });
    for (const [index, bound] of [128, 512, 1024].entries())
      writeFileSync(file(family, index + 1), `${bound}\n`);
  }
  const boundsOf = (family: string) =>
    [1, 2, 3].map((one) => Number(readFileSync(file(family, one), 'utf8')));
  return {
    root,
    bounds: () => Object.fromEntries(families.map((family) => [family, boundsOf(family)])),
  };
}

test('few hosts change nothing of the machine, many get room, and all is put back', () => {
  const { root, bounds } = kernel('ipv4', 'ipv6');
  const usual = bounds();
  const tables = new NeighbourTables(root);
  for (let hosts = 1; hosts <= 22; hosts += 1) tables.makeRoom(hosts);
  expect(bounds()).toEqual(usual);
  for (let hosts = 23; hosts <= 64; hosts += 1) tables.makeRoom(hosts);
  expect(bounds()).toEqual({ ipv4: [128, 4096, 8192], ipv6: [128, 4096, 8192] });
  tables.putBack();
  expect(bounds()).toEqual(usual);
});

test('what is larger stays, and what is not there is no fault', () => {
  const { root, bounds } = kernel('ipv4');
  writeFileSync(join(root, 'ipv4/neigh/default/gc_thresh3'), '100000\n');
  const tables = new NeighbourTables(root);
  tables.makeRoom(64);
  expect(bounds()).toEqual({ ipv4: [128, 4096, 100_000] });
  tables.putBack();
  expect(bounds()).toEqual({ ipv4: [128, 512, 100_000] });
});
