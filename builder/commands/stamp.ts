// edgekiln stamp IMAGE --device NAME --profile FILE -o OUT
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Failure } from '../../formats/errors.ts';
import { stampOffset } from '../../formats/stamp.ts';
import { DiskImage } from '../image/open.ts';
import { Keyring, keysFolder, publicPem } from '../keys/keyring.ts';
import { planBoards } from '../pipeline/plan.ts';
import { type LoadedProfile, loadProfile } from '../profile/load.ts';
import { deviceStamp } from '../site/device-stamp.ts';
import { constantUuid } from '../site/identity.ts';
import { siteRoster } from '../site/roster.ts';
import { put } from '../tree/fill.ts';
import type { Verb } from './frame.ts';

export const verb: Verb = {
  examples: ['edgekiln stamp shop-alpha.img --device beta --profile shop.yaml -o shop-beta.img'],
  register(command, act) {
    command
      .argument('<image>', 'an image of the same site and board')
      .requiredOption('--device <name>', 'the device that the copy is for')
      .requiredOption('--profile <file>', 'the profile that names it')
      .requiredOption('-o, --output <file>', 'the image to write')
      .action(
        act(async (session, file: string, given: { device: string; profile: string; output: string }) => {
          const loaded = await loadProfile(given.profile);
          const image = new DiskImage(file);
          const stamp = await stampFor(image, given.device, loaded);
          if (resolve(given.output) === resolve(file)) {
            throw new Failure('input', {
              what: 'the copy would replace the image itself',
              where: file,
              fix: 'give another -o',
            });
          }
          await copyWith(file, given.output, stamp, session.signal);
          return { text: given.output, data: { version: 1, file: given.output, device: given.device } };
        }),
      );
  },
};

/** The stamp of a device for this image; refuses an image of another site or board. */
async function stampFor(image: DiskImage, device: string, loaded: LoadedProfile): Promise<Uint8Array> {
  const plans = planBoards(loaded);
  const site = loaded.profile.site.name;
  const former = image.secretStamp();
  if (former.site !== site) {
    throw new Failure('input', {
      what: `the image is of site ${former.site}, the profile of ${site}`,
      where: image.file,
      fix: 'name the profile that the image was built from',
    });
  }
  const all = plans.flatMap((plan) => plan.devices.map((one) => ({ ...one, board: plan.board.name })));
  const found = all.find(({ name }) => name === device);
  if (found === undefined) {
    throw new Failure('input', {
      what: `the profile has no device ${device}`,
      why: `it has ${all.map(({ name }) => name).join(', ')}`,
      fix: 'name one of these, or write the new one under devices, behind the others',
    });
  }
  if (image.table.diskGuid !== constantUuid('disk', site, found.board)) {
    throw new Failure('input', {
      what: `the image is not for the board of ${device}, ${found.board}`,
      where: image.file,
      fix: `take the image of a device with the board ${found.board}`,
    });
  }
  const keyring = new Keyring(site, keysFolder());
  const here = existsSync(join(keyring.folder, 'site.key')); // asking for a key that is not there would make one
  const key = here ? (await keyring.siteKey()).key : undefined;
  if (key === undefined || publicPem(key) !== image.siteKey()) {
    throw new Failure('input', {
      what: 'the keys of the site here are not those of the image',
      where: keyring.folder,
      fix: 'bring the keys it was built with, or build it again',
    });
  }
  const { hostname, place, name } = found;
  const { disk, slot } = former;
  const deviceKey = await keyring.deviceKey(name);
  const roster = await siteRoster(loaded.profile, keyring);
  return deviceStamp({ site, device: name, hostname, place, disk, slot, roster, siteKey: key, deviceKey });
}

const piece = 1024 * 1024;

/** Copies an image, holes as holes, with another stamp; the copy appears whole. */
async function copyWith(from: string, to: string, stamp: Uint8Array, signal: AbortSignal): Promise<void> {
  const temporary = `${to}.${randomBytes(4).toString('hex')}.partial`;
  try {
    const input = openSync(from, 'r');
    const output = openSync(temporary, 'wx', 0o644);
    try {
      const buffer = Buffer.alloc(piece);
      const zeros = Buffer.alloc(piece);
      let at = 0;
      for (let read = -1; read !== 0; at += read) {
        if (signal.aborted) throw new Failure('interrupted', { what: 'interrupted' });
        read = readSync(input, buffer, 0, piece, at);
        const bytes = buffer.subarray(0, read);
        // The file is new: what is not written reads as zeros.
        if (!bytes.equals(zeros.subarray(0, read))) put(output, bytes, at);
        if ((at / piece) % 64 === 0) await new Promise((go) => setImmediate(go));
      }
      ftruncateSync(output, at);
      put(output, stamp, stampOffset);
      fsyncSync(output);
    } finally {
      closeSync(input);
      closeSync(output);
    }
    await rename(temporary, to);
  } catch (error) {
    if (error instanceof Failure || !(error instanceof Error) || !('code' in error)) throw error;
    const fix = 'choose a folder where you may write and that has room';
    throw new Failure(
      'io',
      { what: 'the copy cannot be written', where: to, why: error.message, fix },
      error,
    );
  } finally {
    await rm(temporary, { force: true });
  }
}
