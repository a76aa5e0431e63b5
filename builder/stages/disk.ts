// The images: a board's layout with the slot in it, and for each device its stamp.

import { closeSync, openSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { bootStateSize, encodeBootState, flashedState, successor } from '../../formats/bootstate.ts';
import { type Stamp, stampOffset, stampSize } from '../../formats/stamp.ts';
import { bootStateFiles, grubScript } from '../bootloaders/grub.ts';
import { planFat } from '../disk/fat/plan.ts';
import { planGpt } from '../disk/gpt/plan.ts';
import { writeUnsynced } from '../disk/output.ts';
import type { Volume } from '../disk/volume.ts';
import { watched, zeros } from '../disk/volumes.ts';
import { Keyring } from '../keys/keyring.ts';
import { type Digests, Following, surveyAgain, surveyImage, writeSurvey } from '../pack/survey.ts';
import { Threads } from '../pack/threads.ts';
import { onMedium } from '../pipeline/medium.ts';
import type { Stage } from '../pipeline/stage.ts';
import { deviceStamp } from '../site/device-stamp.ts';
import { constantUuid } from '../site/identity.ts';
import { put } from '../tree/fill.ts';
import { fileEntry } from '../tree/overlay.ts';
import { readPackaged } from '../tree/packaged.ts';
import { Tree } from '../tree/tree.ts';
import { openSlot, planSlot } from './slot.ts';

const region = z.strictObject({ start: z.int(), size: z.int() });
const schema = z.strictObject({
  site: z.string(),
  layout: z.strictObject({ esp: region, slotA: region, slotB: region, data: region, size: z.int() }),
  /** Site and board: what the constants of the disk are made of. */
  identity: z.array(z.string()),
  shimName: z.string(),
  /** Path in the package. */
  shimPath: z.string(),
  grubName: z.string(),
  grubPath: z.string(),
  arguments: z.string(),
  devices: z.array(z.strictObject({ name: z.string(), hostname: z.string(), place: z.int() })).min(1),
  /** The site's roster file. */
  roster: z.string(),
  epoch: z.int(),
});

type DiskOptions = z.output<typeof schema>;
type DiskInputs = Readonly<Record<'base' | 'programs' | 'tree' | 'slot' | 'shim' | 'grub' | 'keys', string>>;

/** Larger than what a medium rewrites at a time, hopefully: a torn write of one copy must not touch the other. Bytes. */
const bootStateBlock = 64 * 1024;

/** Behind the stamp, the initrd notes here that data is being made; flashed as zeros. */
const noteSize = 4096;

/** `HOSTNAME.img` for each device. `shim` and `grub` are .deb files, `keys` the folder of the site's secrets. */
export const disk: Stage<DiskOptions, DiskInputs> = {
  name: 'disk',
  summary: 'writes the partitioned image of every device',
  version: 6,
  schema,
  async run(options, inputs, workshop) {
    const slotTree = openSlot(inputs);
    const esp = await planEsp(options, inputs, workshop.signal);
    const slot = planSlot(slotTree, {
      size: options.layout.slotA.size,
      identity: [...options.identity, 'a'],
      epoch: options.epoch,
    });
    const image = planImage(options, esp.volume, slot);
    const files = options.devices.map(({ hostname }) => join(workshop.result, `${hostname}.img`));
    const [first = '', ...copies] = files;
    const mapped = image.mapped.reduce((sum, { start, end }) => sum + end - start, 0);
    let done = 0;
    const told = (bytes: number): void => {
      done += bytes;
      workshop.progress(done, mapped);
    };
    const { start, size } = options.layout.slotA;
    const following = new Following(watched(image, workshop.signal, told));
    const threads = new Threads({ signal: workshop.signal });
    try {
      const { written, volume } = following;
      const writing = writeUnsynced(volume, first);
      // Its digests and its copies are made behind the writer.
      const part = { start, end: start + size };
      const surveying = surveyImage(first, image, { threads, part, copies, written });
      const [known] = await Promise.all([surveying, writing]).catch(async (error: unknown) => {
        // Who is left must not be at work in a folder that goes away.
        following.stop();
        await threads.close();
        await Promise.allSettled([surveying, writing]);
        throw error;
      });
      slotTree.close();
      const content = {
        digest: known.part,
        mapped: slot.mapped.map((range) => [range.start, range.end] as const),
      };
      const stamps = await stampsOf(options, inputs.keys, esp.bootState, content);
      const images: Record<string, Digests> = {};
      for (const [index, { hostname }] of options.devices.entries()) {
        const stamp = stamps[index] ?? new Uint8Array();
        const file = files[index] ?? '';
        writeInPlace(file, stampOffset, stamp);
        workshop.settles(onMedium(file));
        const but = { start: stampOffset, end: stampOffset + stamp.length };
        images[hostname] = await surveyAgain(file, image, { threads, but, known });
      }
      await writeSurvey(workshop.result, options.identity.at(-1) ?? '', { ...image, images });
    } finally {
      await threads.close();
    }
  },
};

/** The ESP, and where on the disk the two copies of the boot state are. */
async function planEsp(
  options: DiskOptions,
  inputs: DiskInputs,
  signal: AbortSignal,
): Promise<{ volume: Volume; bootState: Stamp['disk']['bootState'] }> {
  const { epoch: mtime, layout } = options;
  const file = (path: string, content: Uint8Array | string) =>
    fileEntry(path, content, { mode: 0o644, mtime });
  const [older, newer] = [flashedState, { ...flashedState, seq: successor(flashedState.seq) }];
  const tree = new Tree();
  tree.merge([
    file(bootStateFiles[0], encodeBootState(newer)),
    file(bootStateFiles[1], encodeBootState(older)),
    file('EFI/debian/grub.cfg', grubScript(options.arguments)),
    file(`EFI/BOOT/${options.shimName}`, await readPackaged(inputs.shim, options.shimPath, signal)),
    file(`EFI/BOOT/${options.grubName}`, await readPackaged(inputs.grub, options.grubPath, signal)),
  ]);
  const fat = planFat(tree, {
    size: layout.esp.size,
    label: 'EDGEKILN',
    serial: Number.parseInt(constantUuid('esp', ...options.identity).slice(0, 8), 16),
    alone: { paths: bootStateFiles, block: bootStateBlock },
  });
  const extent = (path: string) => ({ start: layout.esp.start + fat.startOf(path), size: bootStateSize });
  const bootState = [extent(bootStateFiles[0]), extent(bootStateFiles[1])] as const;
  return { volume: fat, bootState };
}

function planImage(options: DiskOptions, esp: Volume, slot: Volume): Volume {
  const { layout, identity } = options;
  const guid = (name: string) => constantUuid('partition', ...identity, name);
  return planGpt({
    size: layout.size,
    diskGuid: constantUuid('disk', ...identity),
    partitions: [
      { name: 'esp', type: 'esp', guid: guid('esp'), ...layout.esp, content: esp },
      { name: 'slot-a', type: 'linux', guid: guid('a'), ...layout.slotA, content: slot },
      // Slot B is filled on the device; data is made there.
      { name: 'slot-b', type: 'linux', guid: guid('b'), ...layout.slotB },
      { name: 'data', type: 'linux', guid: guid('data'), ...layout.data, content: zeros(layout.data.size) },
    ],
    extra: [
      { name: 'stamp', at: stampOffset, size: stampSize + noteSize, content: zeros(stampSize + noteSize) },
    ],
  });
}

/** The stamp of each device, in their order. */
async function stampsOf(
  options: DiskOptions,
  keysFolder: string,
  bootState: Stamp['disk']['bootState'],
  content: Stamp['slot'],
): Promise<Uint8Array[]> {
  const keyring = new Keyring(basename(keysFolder), dirname(keysFolder));
  const { key: siteKey } = await keyring.siteKey();
  const { layout, site, roster } = options;
  const disk = { bootState, slots: { a: layout.slotA, b: layout.slotB } };
  return Promise.all(
    options.devices.map(async ({ name: device, hostname, place }) => {
      const deviceKey = await keyring.deviceKey(device);
      return deviceStamp({ site, device, hostname, place, disk, slot: content, roster, siteKey, deviceKey });
    }),
  );
}

function writeInPlace(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'r+');
  try {
    put(descriptor, bytes, at);
  } finally {
    closeSync(descriptor);
  }
}
