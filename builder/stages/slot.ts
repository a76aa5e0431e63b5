// What makes a tree a slot: its initrd, its kernel arguments and a word on what it is; and whether it fits.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { grubEnvironment } from '../../formats/grubenv.ts';
import { slotEnvironmentSize, slotFiles } from '../bootloaders/grub.ts';
import { planExt4 } from '../disk/ext4/plan.ts';
import type { Volume } from '../disk/volume.ts';
import type { Stage } from '../pipeline/stage.ts';
import { constantUuid, uuidBytes } from '../site/identity.ts';
import type { Entry } from '../tree/entry.ts';
import { openLayers, writeLayer } from '../tree/layer.ts';
import { fileEntry } from '../tree/overlay.ts';
import type { Tree } from '../tree/tree.ts';

const schema = z.strictObject({
  /** Bytes. */
  size: z.int(),
  /** Site, board and slot: what the filesystem's constants are made of. */
  identity: z.array(z.string()),
  kernelArguments: z.string(),
  /** What the image says of itself in `imageFile`: version of edgekiln, site, board, keys of the stages before. */
  made: z.record(z.string(), z.string()),
  epoch: z.int(),
});

type SlotOptions = z.output<typeof schema>;

/** Says in the slot what made it, as a path in it. */
export const imageFile = 'usr/lib/edgekiln/image.json';

/** The stages whose folders hold the layers under that of `slot`, and what the layers are called. */
type Layers = 'base' | 'programs' | 'tree';

/** `slot.tar` goes over base, programs and tree; `slot.json` says what the filesystem will take. */
export const slot: Stage<SlotOptions, Readonly<Record<Layers | 'initrd', string>>> = {
  name: 'slot',
  summary: 'adds the initrd and proves that the root filesystem fits',
  version: 3,
  schema,
  async run(options, inputs, workshop) {
    const { epoch: mtime } = options;
    const initrd = join(inputs.initrd, 'initrd.cpio');
    const { size } = await stat(initrd);
    const segments = [{ offset: 0, bytes: { at: 'file' as const, file: initrd, offset: 0, length: size } }];
    const environment = grubEnvironment({ kernel_arguments: options.kernelArguments }, slotEnvironmentSize);
    const made = `${JSON.stringify({ version: 1, ...options.made }, undefined, 2)}\n`;
    const layer: Entry[] = [
      { kind: 'file', path: slotFiles.initrd, mode: 0o644, uid: 0, gid: 0, mtime, size, segments },
      fileEntry(slotFiles.environment, environment, { mode: 0o644, mtime }),
      fileEntry(imageFile, made, { mode: 0o644, mtime }),
    ];
    await writeLayer(join(workshop.result, 'slot.tar'), layer);
    const tree = openSlot({ ...inputs, slot: workshop.result });
    const volume = planSlot(tree, options);
    const mapped = volume.mapped.reduce((sum, range) => sum + range.end - range.start, 0);
    await writeFile(
      join(workshop.result, 'slot.json'),
      `${JSON.stringify({ version: 1, size: volume.size, mapped, entries: tree.count })}\n`,
    );
    tree.close();
  },
};

/** The whole tree of a slot, from the folders of the stages that made its layers. */
export function openSlot(folders: Readonly<Record<Layers | 'slot', string>>): Tree {
  return openLayers([
    join(folders.base, 'base.tar'),
    join(folders.programs, 'programs.tar'),
    join(folders.tree, 'tree.tar'),
    join(folders.slot, 'slot.tar'),
  ]);
}

/** The filesystem of a slot; refuses a tree that does not fit. */
export function planSlot(tree: Tree, options: Pick<SlotOptions, 'size' | 'identity' | 'epoch'>): Volume {
  const { size, identity, epoch } = options;
  return planExt4(tree, {
    size,
    uuid: uuidBytes(constantUuid('filesystem', ...identity)),
    hashSeed: uuidBytes(constantUuid('hash seed', ...identity)),
    label: `edgekiln-${identity.at(-1)}`,
    time: epoch,
  });
}
