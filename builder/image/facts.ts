// What an image is, as data: for `inspect`.
import { decodeBootState } from '../../formats/bootstate.ts';
import { Failure } from '../../formats/errors.ts';
import { isRecord, parseJson } from '../../formats/json.ts';
import { imageFile } from '../stages/slot.ts';
import { type DiskImage, readRange, type StampFound, whyOf } from './open.ts';

interface SlotFacts {
  readonly label: string;
  readonly uuid: string;
  /** Bytes. */
  readonly size: number;
  readonly free: number;
  readonly inodes: number;
  readonly freeInodes: number;
  /** What the slot says made it; undefined if it does not. */
  readonly made: Readonly<Record<string, unknown>> | undefined;
}

export interface ImageFacts {
  readonly file: string;
  readonly size: number;
  readonly disk: string;
  readonly table: 'first' | 'backup';
  readonly partitions: readonly {
    readonly number: number;
    readonly name: string;
    readonly start: number;
    readonly size: number;
    readonly guid: string;
  }[];
  readonly stamp: StampFound;
  /** The two copies; a text says why one cannot be used. */
  readonly bootState: readonly (object | string)[];
  readonly slots: { readonly a: SlotFacts | string; readonly b: SlotFacts | string };
}

export function factsOf(image: DiskImage): ImageFacts {
  const { file, shown, size, table } = image;
  const stamp = image.stamp();
  return {
    file: shown,
    size,
    disk: table.diskGuid,
    table: table.from,
    partitions: table.partitions.map(({ number, name, start, size: bytes, guid }) => {
      return { number, name, start, size: bytes, guid };
    }),
    stamp,
    bootState: stamp.valid
      ? stamp.stamp.disk.bootState.map(({ start, size: bytes }) => {
          return decodeBootState(readRange(file, start, bytes)) ?? 'torn, or not a boot state';
        })
      : [],
    slots: { a: slotFacts(image, 'a'), b: slotFacts(image, 'b') },
  };
}

function slotFacts(image: DiskImage, name: 'a' | 'b'): SlotFacts | string {
  try {
    const slot = image.slot(name);
    try {
      const { superblock } = slot;
      const { blockSize } = superblock;
      const text = slot.stat(imageFile) === undefined ? '' : slot.read(imageFile).toString('utf8');
      const made = parseJson(text);
      return {
        label: superblock.label,
        uuid: uuidText(superblock.uuid),
        size: superblock.blocks * blockSize,
        free: superblock.freeBlocks * blockSize,
        inodes: superblock.inodes,
        freeInodes: superblock.freeInodes,
        made: isRecord(made) ? made : undefined,
      };
    } finally {
      slot.close();
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return whyOf(error);
  }
}

function uuidText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
