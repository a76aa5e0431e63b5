// States in which data may be found at a boot, each made from a disk that has lived: how, and where the device must end.
import { expect } from 'vitest';
import type { Place } from '../../lab/keeper/plan.ts';
import type { DamagedDisk } from './damage.ts';
import type { Shell } from './site.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
/** Where the note stands that data is being made; docs/boot.md. */
const note = 3 * MiB + 64 * KiB;

/** What makes a device itself, and what a person kept on it. */
export interface Self {
  readonly id: string;
  readonly key: string;
  readonly mine: string;
  readonly scratch: number;
}

interface Case {
  readonly name: string;
  readonly damage: (disk: DamagedDisk, flash: string) => void;
  readonly place?: Partial<Place>;
  readonly state: string;
  readonly detail: string;
  /** What the initrd says on the console. */
  readonly says: RegExp;
  /** Whether id, keys and files are those of before; else they are new. */
  readonly same: boolean;
  /** Not a byte of data may have been written. */
  readonly untouched?: true;
  readonly more?: (shell: Shell, self: Self) => Promise<void>;
}

const zeros = (bytes: number) => Buffer.alloc(bytes);
const garbage = (bytes: number) => Buffer.alloc(bytes, 'not a filesystem ');
const number = (text: string, label: RegExp) => Number(text.match(label)?.[1]);

/** Both copies of the partition table are whole again, whether firmware or initrd did it. */
async function wholeTables(shell: Shell): Promise<void> {
  const said = await shell.run('sfdisk --verify /dev/vda 2>&1');
  expect(said).toContain('No errors detected');
  expect(said).not.toContain('corrupt');
}

export const cases: readonly Case[] = [
  {
    name: 'a table without a fourth partition',
    damage: (disk) => disk.deletePartition(4),
    state: 'missing',
    detail: 'the disk has no fourth partition',
    says: /edgekiln: data is missing: the disk has no fourth partition/,
    same: false,
  },
  {
    name: 'a first MiB of zeros, as flashing leaves it',
    damage: (disk) => disk.write(disk.extent(4).start, zeros(MiB)),
    state: 'created',
    detail: '',
    says: /edgekiln: making data on vda4/,
    same: false,
  },
  {
    name: 'making it was interrupted',
    damage: (disk, flash) => {
      disk.write(note, Buffer.from(`making ${flash}\n`));
      disk.write(disk.extent(4).start + 8 * KiB, garbage(4 * MiB));
    },
    state: 'created',
    detail: '',
    says: /edgekiln: making data on vda4/,
    same: false,
  },
  {
    name: 'full',
    damage: (disk) => {
      const free = () => number(disk.onData('dumpe2fs', ['-h', '@']), /Free blocks: +(\d+)/);
      // The first file takes a block for its extents too.
      for (const [file, left] of [
        ['most', 8],
        ['rest', 0],
      ] as const) {
        disk.onData('debugfs', ['-w', '-R', `write /dev/null ${file}`, '@']);
        disk.onData('debugfs', ['-w', '-R', `fallocate ${file} 0 ${free() - left - 1}`, '@']);
      }
      expect(free()).toBe(0);
      disk.onData('e2fsck', ['-fn', '@']);
    },
    state: 'full',
    detail: 'not a byte is free',
    says: /edgekiln: data is full: not a byte is free/,
    same: true,
  },
  {
    name: 'bitmaps and inodes damaged',
    damage: (disk) => {
      const { start } = disk.extent(4);
      const groups = disk.onData('dumpe2fs', ['@']);
      const at = disk.onData('debugfs', ['-R', 'imap persist/root/scratch/32', '@']);
      // What the kernel writes down when it stumbles on damage.
      disk.setSuperblock('state', '2');
      const block = 4 * KiB;
      disk.write(start + number(groups, /Block bitmap at (\d+)/) * block, garbage(4 * block));
      disk.write(start + number(groups, /Inode bitmap at (\d+)/) * block, garbage(4 * block));
      disk.write(start + number(at, /located at block (\d+)/) * block, garbage(block));
    },
    state: 'repaired',
    detail: '',
    says: /edgekiln: data was repaired/,
    same: true,
    more: async (_, { scratch }) => {
      expect(scratch).toBeGreaterThan(16);
      expect(scratch).toBeLessThan(64);
    },
  },
  {
    name: 'the first superblock lost',
    damage: (disk) => disk.write(disk.extent(4).start + KiB, zeros(KiB)),
    state: 'repaired',
    detail: '',
    says: /edgekiln: data was repaired/,
    same: true,
  },
  {
    name: 'nothing but garbage',
    damage: (disk) => {
      const { start } = disk.extent(4);
      disk.empty(4);
      disk.write(start, garbage(8 * MiB));
    },
    state: 'corrupt',
    detail: 'none of its superblocks can be read',
    says: /edgekiln: data is corrupt: none of its superblocks can be read/,
    same: false,
    untouched: true,
  },
  {
    name: 'a filesystem larger than its partition',
    damage: (disk) => disk.shrink(GiB),
    place: { disk: 1 },
    state: 'corrupt',
    detail: 'it is larger than its partition',
    says: /edgekiln: data is corrupt: it is larger than its partition/,
    same: false,
    untouched: true,
  },
  {
    name: 'a disk that is shorter than its table says',
    damage: (disk) => disk.cutOff(disk.extent(4).start + 512 * MiB),
    place: { disk: 1 },
    state: 'missing',
    detail: 'the disk is shorter than its partition table says',
    says: /edgekiln: data is missing: the disk is shorter than its partition table says/,
    same: false,
    untouched: true,
    more: async (shell) => {
      expect(await shell.run('findmnt -no SOURCE /')).toBe('/dev/loop0');
    },
  },
  {
    name: 'the first partition table torn',
    damage: (disk) => disk.write(512 + 16, Buffer.alloc(4, 0x2a)),
    state: 'mounted',
    detail: '',
    says: /edgekiln: slot a/,
    same: true,
    more: wholeTables,
  },
  {
    name: 'the backup of the partition table torn',
    damage: (disk) => disk.write(4 * GiB - 512 + 16, Buffer.alloc(4, 0x2a)),
    state: 'mounted',
    detail: '',
    says: /edgekiln: slot a/,
    same: true,
    more: wholeTables,
  },
  {
    name: 'a medium that refuses writes',
    damage: () => {},
    place: { writeProtected: true },
    state: 'readonly',
    detail: 'the disk is write-protected',
    says: /edgekiln: data is readonly: the disk is write-protected/,
    same: false,
    more: async (shell) => {
      expect(await shell.run('cat /run/edgekiln/data/persist/root/mine')).toBe('kept');
    },
  },
  {
    name: 'of another flash',
    damage: (disk) => disk.setSuperblock('uuid', '01234567-89ab-4def-8123-456789abcdef'),
    state: 'foreign',
    detail: 'it was made for another flash',
    says: /edgekiln: data is foreign: it was made for another flash/,
    same: false,
    untouched: true,
  },
  {
    name: 'on a disk that grew',
    damage: () => {},
    // With a disk of somebody else beside it.
    place: {
      disk: 8 * GiB,
      extra: [
        '-blockdev',
        'driver=null-co,node-name=else,size=67108864,read-zeroes=on',
        '-device',
        'virtio-blk-pci,drive=else',
      ],
    },
    state: 'mounted',
    detail: '',
    says: /edgekiln: slot a/,
    same: true,
    more: async (shell) => {
      const size = await shell.run('df --output=size -k /run/edgekiln/data | tail -1');
      expect(Number(size)).toBeGreaterThan(5.3 * MiB);
      expect(await shell.run('sfdisk --verify /dev/vda')).toContain('No errors detected');
    },
  },
];
