// The initrd: busybox, the modules a board lists, and one script, as a cpio archive.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Failure } from '../../formats/errors.ts';
import { planCpio } from '../disk/cpio/plan.ts';
import { writeToFile } from '../disk/output.ts';
import type { Stage } from '../pipeline/stage.ts';
import type { Entry } from '../tree/entry.ts';
import { openLayers } from '../tree/layer.ts';
import { type ModuleFile, planModules } from '../tree/modules.ts';
import { fileEntry } from '../tree/overlay.ts';
import { readPackaged } from '../tree/packaged.ts';
import { readEntry } from '../tree/read.ts';
import { Tree } from '../tree/tree.ts';
import { kernelVersion } from './tree.ts';

const schema = z.strictObject({
  modules: z.array(
    z.strictObject({ name: z.string(), options: z.string().optional(), optional: z.boolean().optional() }),
  ),
  diskPreference: z.array(z.string().regex(/^[a-z0-9]+$/)),
  epoch: z.int(),
});

/** The base's folder, the .deb of busybox-static, and the script `init`. `initrd.cpio` in the result is what the bootloader loads. */
export const initrd: Stage<z.output<typeof schema>, Readonly<Record<'base' | 'busybox' | 'init', string>>> = {
  name: 'initrd',
  summary: "packs busybox, the board's modules and the start script",
  version: 1,
  schema,
  async run(options, inputs, workshop) {
    const { epoch: mtime } = options;
    const base = openLayers([join(inputs.base, 'base.tar')]);
    const kernel = `usr/lib/modules/${kernelVersion(base)}`;
    const text = (name: string): string => readEntry(base, `${kernel}/${name}`).toString('utf8');
    const plan = planModules(
      options.modules.map(({ name, options, optional }) => ({
        name,
        ...(options === undefined ? {} : { options }),
        ...(optional === undefined ? {} : { optional }),
      })),
      text('modules.dep'),
      text('modules.builtin'),
    );
    if (plan.missing.length > 0) {
      throw new Failure('input', {
        what: `the kernel of the base lacks ${plan.missing.join(', ')}`,
        why: 'the board cannot be started without',
        fix: "take the board's own kernel package into the base",
      });
    }
    const archive = new Tree();
    archive.merge([
      fileEntry('init', await readFile(inputs.init), { mode: 0o755, mtime }),
      fileEntry('bin/busybox', await readPackaged(inputs.busybox, 'usr/bin/busybox', workshop.signal), {
        mode: 0o755,
        mtime,
      }),
      fileEntry('etc/board.conf', `disk_preference="${options.diskPreference.join(' ')}"\n`, {
        mode: 0o644,
        mtime,
      }),
      fileEntry('etc/modules', plan.load.map(moduleLine).join(''), { mode: 0o644, mtime }),
      ...plan.load.map((module) => {
        const content = readEntry(base, `${kernel}/${module.path}`);
        return fileEntry(`modules/${fileName(module)}`, content, { mode: 0o644, mtime });
      }),
      // The kernel writes its first words to it before the script mounts /dev.
      {
        kind: 'char',
        path: 'dev/console',
        mode: 0o600,
        uid: 0,
        gid: 0,
        mtime,
        major: 5,
        minor: 1,
      } satisfies Entry,
    ]);
    await writeToFile(planCpio(archive), join(workshop.result, 'initrd.cpio'));
    base.close();
    archive.close();
  },
};

function moduleLine(module: ModuleFile): string {
  return `${fileName(module)}${module.options === '' ? '' : ` ${module.options}`}\n`;
}

function fileName(module: ModuleFile): string {
  return module.path.slice(module.path.lastIndexOf('/') + 1);
}
