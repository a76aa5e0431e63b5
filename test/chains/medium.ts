// What lies on a device's disk, looked at and changed from outside: boot state, slots, settings for trials.
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Keyring, publicPem } from '../../builder/keys/keyring.ts';
import {
  type BootState,
  bootStateSize,
  chooseCopy,
  decodeBootState,
  encodeBootState,
} from '../../formats/bootstate.ts';
import { grubEnvironment } from '../../formats/grubenv.ts';
import { openStamp, type Stamp, stampOffset, stampSize } from '../../formats/stamp.ts';
import type { Machine } from '../../lab/qemu/machine.ts';
import type { TestSite } from './site.ts';

/** Bytes of a disk or an image, from an offset. */
export interface Content {
  read(offset: number, length: number): Buffer;
  write(offset: number, bytes: Buffer): void;
}

/** The ESP of the board these tests use. */
const espStart = 4 * 1024 * 1024;
const batch = 8 * 1024 * 1024;

/** An image file, opened for `work`. */
export async function inImage<T>(image: string, work: (content: Content) => T | Promise<T>): Promise<T> {
  const file = openSync(image, 'r+');
  try {
    return await work({
      read(offset, length) {
        const bytes = Buffer.alloc(length);
        readSync(file, bytes, 0, length, offset);
        return bytes;
      },
      write: (offset, bytes) => void writeSync(file, bytes, 0, bytes.length, offset),
    });
  } finally {
    closeSync(file);
  }
}

/** The disk of a machine that was added with `survival`. */
export function contentOf(machine: Machine): Content {
  const { content } = machine.disk;
  if (content === undefined) throw new Error(`${machine.name} has a plain disk`);
  return content;
}

/** The stamp, its signature checked. */
export async function stampOf(content: Content, site: TestSite): Promise<Stamp> {
  const { key } = await new Keyring(basename(site.profile, '.yaml'), join(site.folder, 'keys')).siteKey();
  return openStamp(content.read(stampOffset, stampSize), createPublicKey(publicPem(key)));
}

/** One copy of the boot state on the disk: a state, or bytes that are none. */
export type Copy = BootState | Buffer;

export function writeCopies(content: Content, stamp: Stamp, copies: readonly [Copy, Copy]): void {
  for (const [index, copy] of copies.entries()) {
    const bytes = Buffer.isBuffer(copy) ? copy : encodeBootState(copy);
    content.write(stamp.disk.bootState[index === 0 ? 0 : 1].start, bytes);
  }
}

/** Writes a state as the one in force; the other copy is the one before it. */
export function writeState(content: Content, stamp: Stamp, state: BootState): void {
  writeCopies(content, stamp, [state, oneBefore(state)]);
}

/** An older copy of a state. */
export function oneBefore(state: BootState): BootState {
  return { ...state, seq: (state.seq + 9) % 10 };
}

/** The state in force; undefined when neither copy is whole. */
export function readState(content: Content, stamp: Stamp): BootState | undefined {
  const [first, second] = stamp.disk.bootState;
  return chooseCopy([
    decodeBootState(content.read(first.start, bootStateSize)),
    decodeBootState(content.read(second.start, bootStateSize)),
  ]).current;
}

/** Copies what slot A holds over slot B, as far as `until` bytes into the slot. */
export function copySlot(content: Content, { disk: { slots }, slot }: Stamp, until = slots.a.size): void {
  for (const [start, end] of slot.mapped) {
    for (let at = start; at < Math.min(end, until); at += batch) {
      const bytes = content.read(slots.a.start + at, Math.min(batch, end - at, until - at));
      content.write(slots.b.start + at, bytes);
    }
  }
}

/** SHA-256 of what slot B has where slot A carries data. */
export function digestOfB(content: Content, { disk: { slots }, slot }: Stamp): string {
  const hash = createHash('sha256');
  for (const [start, end] of slot.mapped) {
    for (let at = start; at < end; at += batch)
      hash.update(content.read(slots.b.start + at, Math.min(batch, end - at)));
  }
  return hash.digest('hex');
}

/** Replaces a file in slot B of an image, with e2fsprogs' own tool. */
export function replaceInB(image: string, stamp: Stamp, path: string, text: string): void {
  const source = `${image}.file`;
  writeFileSync(source, text);
  const device = `${image}?offset=${stamp.disk.slots.b.start}`;
  const debugfs = (request: string) =>
    execFileSync('debugfs', ['-w', '-R', request, device], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  debugfs(`rm ${path}`);
  debugfs(`write ${source} ${path}`);
  debugfs(`sif ${path} mode 0100755`);
  rmSync(source);
  const found = debugfs(`cat ${path}`);
  if (found !== text) throw new Error(`${path} was not replaced in slot B`);
}

/** More kernel arguments for the device of an image: docs/boot.md, settings for trials. */
export function setArguments(image: string, words: string): void {
  const file = `${image}.env`;
  writeFileSync(file, grubEnvironment({ local_arguments: words }, 1024));
  execFileSync('mcopy', ['-o', '-i', `${image}@@${espStart}`, file, '::EFI/edgekiln/local.env']);
  rmSync(file);
}
