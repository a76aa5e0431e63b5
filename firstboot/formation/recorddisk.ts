// The record of formation on data: `persist` means that it is here, synced.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Record } from '../protocol/record.ts';
import { decodeRecord, encodeRecord } from '../protocol/recordfile.ts';

export class RecordDisk {
  readonly #path: string;
  /** What the file held at the start; undefined where there was none: a fresh device, or one that lost its memory. */
  readonly record: Record | undefined;
  #serial: number;

  private constructor(path: string, record: Record | undefined, serial: number) {
    this.#path = path;
    this.record = record;
    this.#serial = serial;
  }

  /** Reads the file. Fails where it is there and cannot be read: that is no memory lost, and must not look like it. */
  static async open(path: string): Promise<RecordDisk> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
        return new RecordDisk(path, undefined, 0);
      throw error;
    }
    try {
      const found = decodeRecord(await file.readFile());
      return new RecordDisk(path, found?.record, found?.serial ?? 0);
    } finally {
      await file.close();
    }
  }

  /** Writes over the older copy and syncs. One at a time. */
  async write(record: Record): Promise<void> {
    const { offset, bytes } = encodeRecord(record, this.#serial + 1);
    const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
      await file.sync();
    } finally {
      await file.close();
    }
    if (this.#serial === 0) await syncFolder(dirname(this.#path));
    this.#serial += 1;
  }
}

/** The name of a new file is on disk only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
