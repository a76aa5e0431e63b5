// The initrd's care for the partition table, run by busybox on an image: firmware often mends a torn table first, so that
// a machine under test does not show it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const MiB = 1024 * 1024;
const sector = 512;
const init = readFileSync(join(import.meta.dirname, '../../overlays/initrd/init'), 'utf8');
const part = init.slice(
  init.indexOf('# The table is changed on a copy'),
  init.indexOf("# Hexadecimal bytes of data's superblock"),
);

/** A disk of 64 MiB with four partitions, and what the kernel says of it. */
function makeDisk(): { file: string; run(call: string, kernelSays: string): string; verify(): string } {
  const folder = mkdtempSync(join(tmpdir(), 'table-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'disk');
  writeFileSync(file, '');
  truncateSync(file, 64 * MiB);
  execFileSync('sfdisk', ['--quiet', file], { input: 'label: gpt\nsize=4M\nsize=4M\nsize=4M\nsize=20M\n' });
  const facts = join(folder, 'sys/disk/disk4');
  mkdirSync(facts, { recursive: true });
  const { partitiontable } = JSON.parse(execFileSync('sfdisk', ['--json', file], { encoding: 'utf8' }));
  const { start, size } = partitiontable.partitions[3];
  const run = (call: string, kernelSays: string): string => {
    const sectors = Number(execFileSync('stat', ['-c', '%s', file], { encoding: 'utf8' })) / sector;
    for (const [name, value] of [
      ['start', start],
      ['size', size],
      ['../size', sectors],
    ])
      writeFileSync(join(facts, name), `${value}\n`);
    const script = `disk=disk; data=disk4
      say() { echo "$*"; }
      tool() { [ "$1" = partx ] || "$@"; }
      dmesg() { echo '${kernelSays}'; }
      ${part.replaceAll('/sys/block', `${folder}/sys`).replaceAll('/dev/$disk', file).replace('/run/edgekiln/table', join(folder, 'table'))}
      ${call} || echo failed`;
    return execFileSync('busybox', ['sh', '-c', script], { encoding: 'utf8' });
  };
  const verify = () =>
    execFileSync('sh', ['-c', `sfdisk --verify ${file} 2>&1; sfdisk --dump ${file}`], { encoding: 'utf8' });
  return { file, run, verify };
}

function damage(file: string, offset: number): void {
  execFileSync('dd', [`of=${file}`, 'bs=1', `seek=${offset}`, 'conv=notrunc', 'status=none'], {
    input: 'torn',
  });
}

test.each([
  ['the header', sector + 16, 'Primary GPT is invalid, using alternate GPT.'],
  ['an entry', 2 * sector + 3 * 128 + 40, 'Primary GPT is invalid, using alternate GPT.'],
  ['the header of the backup', 64 * MiB - sector + 16, 'Alternate GPT is invalid, using primary GPT.'],
  ['an entry of the backup', 64 * MiB - 33 * sector + 40, 'Alternate GPT is invalid, using primary GPT.'],
])('%s torn: the table is as it was', (_, offset, kernelSays) => {
  const disk = makeDisk();
  const whole = disk.verify();
  expect(whole).toContain('No errors detected');
  damage(disk.file, offset);
  expect(disk.verify()).toContain('GPT table is corrupt');
  expect(disk.run('mend_table', kernelSays)).toBe('a torn partition table is whole again\n');
  expect(disk.verify()).toBe(whole);
});

test('a table that nobody complains of is left alone', () => {
  const disk = makeDisk();
  damage(disk.file, sector + 16);
  const before = readFileSync(disk.file);
  expect(disk.run('mend_table', 'all is well')).toBe('');
  expect(readFileSync(disk.file).equals(before)).toBe(true);
});

test('a table grows to the end of a larger disk', () => {
  const disk = makeDisk();
  truncateSync(disk.file, 128 * MiB);
  expect(disk.run('grow_table', '')).toBe('the partition table grows to the end of disk\n');
  const grown = disk.verify();
  expect(grown).toContain('No errors detected');
  expect(Number(/disk4 : start= +\d+, size= +(\d+)/.exec(grown)?.[1]) * sector).toBeGreaterThan(110 * MiB);
});
