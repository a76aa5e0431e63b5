// `edgekiln-node reset`: back to how it was flashed. The next boot makes its data anew; docs/boot.md, "making".
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { Failure } from '../../formats/errors.ts';
import { stampOffset, stampSize } from '../../formats/stamp.ts';
import { type Paths, pathsUnder } from '../boot/paths.ts';
import { parseBootRecord } from '../boot/record.ts';
import type { Command } from './command.ts';

/** Where the initrd looks for the note, behind the stamp. */
const noteAt = stampOffset + stampSize;

export const reset: Command = {
  name: 'reset',
  summary: 'factory reset: lose all data of this device and start again (asks twice)',
  help: `Everything on the data partition is lost at the next boot: the node's containers and volumes, a server's copy of
the cluster's store, the device's memory. Its identity stays: it joins its site again under its name. Restarts at once.

Options:
  --confirm WORDS   answers both questions for a script: the device's name twice, parted by a blank
  --json            what will be, as data (version 1)
  --root DIR        take every path below DIR, and do not restart

Example:
  edgekiln-node reset --confirm 'shop-01 shop-01'`,
  async run(args) {
    const options = {
      root: { type: 'string', default: '/' },
      confirm: { type: 'string' },
      json: { type: 'boolean' },
    } as const;
    const { root, confirm, json } = parseArgs({ args: [...args], options }).values;
    const paths = pathsUnder(root);
    const name = (await readFile(paths.hostName, 'utf8')).trim();
    const answers = confirm === undefined ? await askTwice(name) : confirm.split(' ');
    if (answers.length !== 2 || answers.some((answer) => answer !== name)) {
      throw new Failure('input', { what: 'nothing was reset', why: `the answers were not ${name}, twice` });
    }
    await noteMaking(paths);
    if (json === true)
      process.stdout.write(`${JSON.stringify({ version: 1, name, reset: 'next boot' }, null, 2)}\n`);
    process.stderr.write(`${name} begins anew at its next boot.\n`);
    if (root !== '/') return;
    const programs = await import('../../formats/programs.ts');
    await programs.run('systemctl', ['reboot']);
  },
};

async function askTwice(name: string): Promise<string[]> {
  if (!process.stdin.isTTY) {
    throw new Failure('input', {
      what: 'nobody is there to be asked',
      fix: `give --confirm '${name} ${name}'`,
    });
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const first = await lines.question(`All data of this device will be lost. Its name, to go on: `);
    if (first.trim() !== name) return [first];
    return [name, (await lines.question(`It cannot be undone. Its name once more: `)).trim()];
  } finally {
    lines.close();
  }
}

/** Tells the initrd to make data: 512 bytes, synced. */
async function noteMaking(paths: Paths): Promise<void> {
  const { flash, disk } = parseBootRecord(await readFile(paths.record, 'utf8').catch(() => ''));
  if (flash === undefined || disk === undefined) {
    throw new Failure('environment', { what: 'the disk of this device is not known', where: paths.record });
  }
  const note = Buffer.alloc(512);
  note.write(`making ${flash}\n`);
  const device = await open(join(paths.root, disk), 'r+');
  try {
    await device.write(note, 0, note.length, noteAt);
    await device.sync();
  } finally {
    await device.close();
  }
}
