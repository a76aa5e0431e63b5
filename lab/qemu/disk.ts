// What a machine has for a disk: never the image itself, always something laid over it.
import { link, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import type { Random } from '../switch/random.ts';
import { quoted } from './arguments.ts';
import { openMedium } from './nbd/medium.ts';
import { serveNbd } from './nbd/server.ts';
import { type Lost, type Medium, openWriteCache } from './nbd/write-cache.ts';

/** 8 GiB, as a small card. */
const defaultDiskSize = 8 * 1024 ** 3;

export interface Disk {
  /** For `-blockdev`. */
  readonly blockdev: string;
  /** What a program on the machine would read and write now; only of a disk with a volatile cache. Writes are durable. */
  readonly content?: Pick<Medium, 'read' | 'write'>;
  /**
   * Only of a disk with a volatile cache: from now on `isLast` hears of each write of the machine, bytes, once the cache
   * has it. With true the disk takes nothing more, as if the power went then; `powerCut` ends that.
   */
  watch?(isLast: (offset: number, length: number) => boolean): void;
  /** The power went: gives what became of writes that were not flushed, where the disk knows. */
  powerCut(): Promise<Lost | undefined>;
  /** Makes it as the image is; nobody may use it meanwhile. */
  flash(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of the disk for an image: as wished, never less than the image. An image that is not there is an input failure. */
async function diskSize(image: string, wished = defaultDiskSize): Promise<number> {
  const found = await stat(image).catch(() => undefined);
  if (found?.isFile()) return Math.max(wished, Math.ceil(found.size / 512) * 512);
  throw new Failure('input', {
    what: 'this image is not there',
    where: image,
    fix: 'build it first: edgekiln build PROFILE',
  });
}

/** A qcow2 file over a raw image. A power cut loses what QEMU itself had not written out yet, in an order nobody chose. */
export async function overlayDisk(image: string, directory: string, wished?: number): Promise<Disk> {
  const size = await diskSize(image, wished);
  const file = join(directory, 'disk.qcow2');
  const base = join(directory, 'base.img');
  // A name of its own for the image: a build that replaces it must not change what lies under a disk.
  await rm(base, { force: true });
  const under = await link(image, base).then(
    () => base,
    () => resolve(image),
  );
  const flash = async (): Promise<void> => {
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', under, file, String(size)]);
  };
  await flash();
  return {
    blockdev: `driver=qcow2,node-name=disk,discard=unmap,file.driver=file,file.filename=${quoted(file)}`,
    powerCut: async () => undefined,
    flash,
    close: async () => {},
  };
}

/**
 * A disk with a volatile write cache, served over NBD at `socket`. After a power cut each write that was not flushed is
 * there with the chance `survival`, and one of them in part: what a file system and a database must live with.
 */
export async function volatileDisk(
  image: string,
  directory: string,
  options: { socket: string; survival: number; random: Random; size?: number | undefined },
): Promise<Disk> {
  const size = await diskSize(image, options.size);
  const medium = openMedium(image, join(directory, 'disk.changes'), size);
  const cache = openWriteCache(medium);
  const never = (): boolean => false;
  let isLast: (offset: number, length: number) => boolean = never;
  let gone = false;
  const refuseIfGone = (): void => {
    if (gone) throw new Error('the power is gone');
  };
  const server = await serveNbd(options.socket, size, {
    ...cache,
    read(offset, length) {
      refuseIfGone();
      return cache.read(offset, length);
    },
    write(offset, bytes, durable) {
      refuseIfGone();
      cache.write(offset, bytes, durable);
      if (!isLast(offset, typeof bytes === 'number' ? bytes : bytes.length)) return;
      gone = true;
      server.disconnect();
    },
    flush() {
      refuseIfGone();
      cache.flush();
    },
  });
  return {
    blockdev: `driver=nbd,node-name=disk,discard=unmap,server.type=unix,server.path=${quoted(options.socket)}`,
    content: { read: cache.read, write: (offset, bytes) => cache.write(offset, bytes, true) },
    watch(next) {
      isLast = next;
    },
    async powerCut() {
      server.disconnect();
      gone = false;
      isLast = never;
      return cache.cut(options.survival, options.random);
    },
    async flash() {
      cache.cut(0, options.random);
      medium.forget();
    },
    async close() {
      await server.close();
      medium.close();
    },
  };
}
