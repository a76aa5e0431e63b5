// An image as it lies in a file: its partition table, its stamp, and readers for what is in it. Nothing is mounted.
import { createPublicKey } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { siteKeyFile } from '../../formats/agentconfig.ts';
import { Failure } from '../../formats/errors.ts';
import { openStamp, type Stamp, stampOffset, stampSize } from '../../formats/stamp.ts';
import { type Ext4Reader, openExt4 } from '../disk/ext4/read.ts';
import { type FatReader, openFat } from '../disk/fat/read.ts';
import { type Gpt, type GptEntry, readGpt } from '../disk/gpt/read.ts';

/** A stamp that the site key in slot A vouches for, or why there is none. The device's secret key is left behind. */
export type StampFound =
  | { readonly valid: true; readonly stamp: Omit<Stamp, 'deviceKey'> }
  | { readonly valid: false; readonly why: string };

/** Names of the partitions in the table. */
export type PartitionName = 'esp' | 'slot-a' | 'slot-b' | 'data';

export class DiskImage {
  readonly file: string;
  /** The name that people know it by: of the packed file, where it came out of one. */
  readonly shown: string;
  /** Bytes. */
  readonly size: number;
  readonly table: Gpt;

  /** Refuses what is no image, and what must be unpacked first. */
  constructor(file: string, shown = file) {
    this.file = file;
    this.shown = shown;
    refusePacked(shown, readRange(file, 0, 6));
    this.size = statSync(file).size;
    const table = readGpt(file);
    if (table === undefined)
      throw notAnImage(shown, 'neither its partition table nor the backup of it is whole');
    this.table = table;
    if (this.#find('slot-a') === undefined) throw notAnImage(shown, 'there is no partition slot-a');
  }

  partition(name: PartitionName): GptEntry {
    const found = this.#find(name);
    if (found === undefined) throw notAnImage(this.shown, `there is no partition ${name}`);
    return found;
  }

  /** The filesystem of a slot. Close it. Refuses one that is empty or not ext4. */
  slot(name: 'a' | 'b'): Ext4Reader {
    return openExt4(this.file, this.partition(`slot-${name}`).start);
  }

  /** The ESP. Close it. */
  esp(): FatReader {
    return openFat(this.file, this.partition('esp').start);
  }

  /** PEM of the site's public key, from slot A. */
  siteKey(): string {
    const slot = this.slot('a');
    try {
      return slot.read(siteKeyFile.slice(1)).toString('utf8');
    } finally {
      slot.close();
    }
  }

  /** The whole stamp, secret included; throws a Failure that says what is wrong. */
  secretStamp(): Stamp {
    let key: ReturnType<typeof createPublicKey>;
    try {
      key = createPublicKey(this.siteKey());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Failure(
        'input',
        {
          what: 'the stamp cannot be checked: slot A gives no key of the site',
          where: this.shown,
          why,
          fix: 'bring the image anew: it is damaged, or another program changed its slot',
        },
        error,
      );
    }
    return openStamp(readRange(this.file, stampOffset, stampSize), key);
  }

  stamp(): StampFound {
    try {
      const { deviceKey: _, ...stamp } = this.secretStamp();
      return { valid: true, stamp };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { valid: false, why: whyOf(error) };
    }
  }

  #find(name: PartitionName): GptEntry | undefined {
    return this.table.partitions.find((partition) => partition.name === name);
  }
}

/** What a failure says, on one line. */
export function whyOf(failure: Failure): string {
  return failure.problems.map(({ what, why }) => (why === undefined ? what : `${what}: ${why}`)).join('; ');
}

/** Bytes of a file; shorter where it ends. */
export function readRange(file: string, at: number, length: number): Buffer {
  let descriptor: number;
  try {
    // A pipe would be waited for.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const why = error instanceof Error ? error.message : String(error);
    throw missing
      ? nothingAt(file, error)
      : new Failure('io', { what: 'cannot be read', where: file, why, fix: readable }, error);
  }
  try {
    const kind = fstatSync(descriptor);
    if (!kind.isFile() && !kind.isBlockDevice()) throw noFile(file, kind.isDirectory());
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, at));
  } catch (error) {
    if (error instanceof Failure) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new Failure('io', { what: 'cannot be read', where: file, why, fix: readable }, error);
  } finally {
    closeSync(descriptor);
  }
}

const readable = 'see that it is a file that you may read, on a medium that is whole';

function noFile(where: string, folder: boolean): Failure {
  return new Failure('input', {
    what: folder ? 'this is a folder, not an image' : 'this is a pipe or a device, not an image',
    where,
    fix: folder ? 'name a .img file in it' : 'name a .img file',
  });
}

/** Nothing of this name is there. */
export function nothingAt(where: string, cause?: unknown): Failure {
  const fix = 'builds put images into output/SITE: look at the name';
  return new Failure('input', { what: 'no such file or folder', where, fix }, cause);
}

/** First bytes of packed files, and what unpacks them. */
const packed: readonly (readonly [magic: string, kind: string, fix: (file: string) => string])[] = [
  ['504b0304', 'a zip', (file) => `unzip ${file}`],
  ['28b52ffd', 'packed with zstd', (file) => `zstd -d ${file}`],
  ['1f8b', 'packed with gzip', (file) => `gunzip -k ${file}`],
  ['fd377a585a00', 'packed with xz', (file) => `unxz -k ${file}`],
];

function refusePacked(file: string, head: Buffer): void {
  const found = packed.find(([magic]) => head.toString('hex').startsWith(magic));
  if (found === undefined) return;
  throw new Failure('unsupported', {
    what: `this is ${found[1]}, and only the image in it can be looked into`,
    where: file,
    fix: found[2](file),
  });
}

function notAnImage(where: string, why: string): Failure {
  const fix = 'name an image of a build; if it is one, it is damaged: bring it anew';
  return new Failure('input', { what: 'this is not an image that edgekiln made', where, why, fix });
}
