// What a machine has for a disk: never the image itself, always something laid over it.
import { link, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { run } from '../../formats/programs.ts';
import { quoted } from './arguments.ts';

/** 8 GiB, as a small card. */
export const defaultDiskSize = 8 * 1024 ** 3;

export interface Disk {
  /** For `-blockdev`. */
  readonly blockdev: string;
  /** The power went: what the disk does to writes it had not been told to keep. */
  powerCut(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of the disk for an image: as wished, never less than the image. An image that is not there is an input failure. */
export async function diskSize(image: string, wished = defaultDiskSize): Promise<number> {
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
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', under, file, String(size)]);
  return {
    blockdev: `driver=qcow2,node-name=disk,discard=unmap,file.driver=file,file.filename=${quoted(file)}`,
    powerCut: async () => {},
    close: async () => {},
  };
}
