// A disk image as a test damages it from outside: e2fsprogs and sfdisk work on the file, no root, no loop device.
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';

const sector = 512;
const MiB = 1024 * 1024;

interface Extent {
  readonly start: number;
  readonly length: number;
}

/** The image of a disk with data in its fourth partition. All numbers are bytes. */
export interface DamagedDisk {
  readonly file: string;
  /** From the disk's start to a partition, and its length. */
  extent(partition: number): Extent;
  write(offset: number, bytes: Buffer): void;
  /** Zeros for all of a partition. */
  empty(partition: number): void;
  deletePartition(partition: number): void;
  /** Takes away what lies behind a byte; the table knows nothing of that. */
  cutOff(length: number): void;
  /** Makes the disk smaller: data's partition ends where it ends now. The filesystem in it knows nothing of that. */
  shrink(dataLength: number): void;
  /** A program of e2fsprogs on data; `@` among the arguments stands for it. */
  onData(program: 'debugfs' | 'dumpe2fs' | 'e2fsck', args: readonly string[]): string;
  /** Sets a field of data's first superblock, by debugfs's name. */
  setSuperblock(field: string, value: string): void;
}

/** Opens nothing: every call works on the file by itself. */
export function damagedDisk(file: string): DamagedDisk {
  const sfdisk = (args: readonly string[], script = '') =>
    execFileSync('sfdisk', args, { input: script, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
  const extent = (partition: number): Extent => {
    const { partitiontable } = JSON.parse(sfdisk(['--json', file]));
    const { start, size } = partitiontable.partitions.find(({ node }: { node: string }) =>
      node.endsWith(String(partition)),
    );
    return { start: start * sector, length: size * sector };
  };
  const onData: DamagedDisk['onData'] = (program, args) => {
    const data = `${file}?offset=${extent(4).start}`;
    const words = args.map((word) => (word === '@' ? data : word));
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  };
  return {
    file,
    extent,
    onData,
    write(offset, bytes) {
      const descriptor = openSync(file, 'r+');
      writeSync(descriptor, bytes, 0, bytes.length, offset);
      closeSync(descriptor);
    },
    empty(partition) {
      const { start, length } = extent(partition);
      execFileSync('fallocate', ['--punch-hole', '-o', String(start), '-l', String(length), file]);
    },
    deletePartition: (partition) => void sfdisk(['--quiet', '--delete', file, String(partition)]),
    cutOff: (length) => truncateSync(file, length),
    shrink(dataLength) {
      const { start } = extent(4);
      // A table that names sectors behind the disk's end is no table to sfdisk: it is written anew.
      const script = sfdisk(['--dump', file])
        .replace(/^last-lba:.*\n/m, '')
        .replace(/(img4 : start= *\d+, size= *)\d+/, `$1${dataLength / sector}`);
      truncateSync(file, start + dataLength + MiB);
      sfdisk(['--quiet', '--force', '--wipe', 'never', file], script);
    },
    setSuperblock: (field, value) =>
      void onData('debugfs', ['-w', '-R', `set_super_value ${field} ${value}`, '@']),
  };
}

/** Whether a machine wrote to a range of its disk, by what its qcow2 file over the image holds. The machine must be off. */
export function wrote(overlay: string, range: Extent): boolean {
  const map = execFileSync('qemu-img', ['map', '--output=json', overlay], {
    encoding: 'utf8',
    maxBuffer: 64 * MiB,
  });
  return JSON.parse(map).some(
    ({ start, length, depth, present }: Extent & { depth: number; present: boolean }) =>
      depth === 0 && present && start < range.start + range.length && start + length > range.start,
  );
}
