// The disk a device runs from: its stamp, the two copies of the boot state. Only their own bytes are ever written.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  type BootState,
  bootStateSize,
  chooseCopy,
  decodeBootState,
  encodeBootState,
} from '../../formats/bootstate.ts';
import { type Stamp, stampOffset, stampSize } from '../../formats/stamp.ts';

/**
 * Opens the disk for writing, each write down to the medium before it returns (O_SYNC), and makes sure that it is the
 * disk this stamp is on: a name such as /dev/vda may mean another disk than it did in the initrd.
 */
export async function openDisk(path: string, region: Uint8Array): Promise<FileHandle> {
  const disk = await open(path, constants.O_RDWR | constants.O_SYNC);
  try {
    const found = await readBytes(disk, stampOffset, region.length);
    if (!found.equals(region)) throw new Error(`${path} does not carry the stamp of this boot`);
    return disk;
  } catch (error) {
    await disk.close();
    throw error;
  }
}

/** The boot state in force; undefined when neither copy is whole. */
export async function readBootState(disk: FileHandle, stamp: Stamp): Promise<BootState | undefined> {
  return (await copies(disk, stamp)).current;
}

/**
 * Writes this state over the older copy, or the torn one, and reads it back. The newer copy stays whole meanwhile, so
 * a power cut leaves the state that was or the one that is.
 */
export async function writeBootState(disk: FileHandle, stamp: Stamp, state: BootState): Promise<void> {
  const { overwrite } = await copies(disk, stamp);
  const { start } = stamp.disk.bootState[overwrite];
  const bytes = encodeBootState(state);
  await writeBytes(disk, start, bytes);
  const back = await readBytes(disk, start, bootStateSize);
  if (!back.equals(bytes)) throw new Error('the boot state was written but does not read back');
}

async function copies(disk: FileHandle, stamp: Stamp): Promise<ReturnType<typeof chooseCopy>> {
  const [first, second] = stamp.disk.bootState;
  for (const { start, size } of [first, second]) {
    // Whoever signed a stamp may have erred; the partition table and the stamp are not for overwriting.
    if (start < stampOffset + stampSize || size < bootStateSize) {
      throw new Error(`the stamp says that the boot state is ${size} bytes at byte ${start}: it cannot be`);
    }
  }
  return chooseCopy([
    decodeBootState(await readBytes(disk, first.start, bootStateSize)),
    decodeBootState(await readBytes(disk, second.start, bootStateSize)),
  ]);
}

/** Exactly so many bytes from there; the end of the disk is an error. */
async function readBytes(disk: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await readInto(disk, start, bytes);
  return bytes;
}

/** Fills a buffer from there; the end of the disk is an error. */
export async function readInto(disk: FileHandle, start: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await disk.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) throw new Error(`the disk ends at byte ${start + done}`);
    done += bytesRead;
  }
}

/** Writes all of the bytes there. */
export async function writeBytes(disk: FileHandle, start: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await disk.write(bytes, done, bytes.length - done, start + done);
    done += bytesWritten;
  }
}
