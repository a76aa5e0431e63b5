// What goes into an image: what the tree stage is given of a profile, and how many bytes the parts have.
import { createHash, createHmac, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import { renderPersist } from '../../formats/persist.ts';
import type { DebianSet } from '../artifacts/lock.ts';
import { digestOf } from '../artifacts/store.ts';
import { overlayFolder } from '../installation.ts';
import { type Keyring, privateSeed, publicPem } from '../keys/keyring.ts';
import type { Contents, Profile } from '../profile/profile.ts';
import type { TreeOptions } from '../stages/tree.ts';
import { addressTable, lanTemplate, proxyEnvironment } from '../tree/lan.ts';
import { digestOfOverlay } from '../tree/overlay.ts';
import { agentConfigOf } from './agent.ts';
import type { Input } from './runner.ts';

/** What is known of the rest of a build. */
export interface TreeFacts {
  readonly k3s: { readonly version: string; readonly standIn: boolean };
  /** The private key of the site, and its public half, PEM. */
  readonly siteKey: KeyObject;
  readonly sitePublicKey: string;
  readonly epoch: number;
}

export async function treeOptions(profile: Profile, facts: TreeFacts): Promise<TreeOptions> {
  const { users, system, limits, persist, registries } = profile;
  return {
    agent: agentConfigOf(profile, facts.k3s),
    sitePublicKey: facts.sitePublicKey,
    users: users.map((user) => ({ ...user, sshKeys: [...user.sshKeys] })),
    timezone: system.timezone,
    locale: system.locale,
    persist: renderPersist(persist),
    journal: `${limits.journal / 1024}K`,
    lan: lanTemplate(profile),
    addresses: addressTable(profile),
    proxy: proxyEnvironment(profile),
    registries:
      registries === undefined ? undefined : { text: stringify(registries), salt: saltOf(facts.siteKey) },
    files: profile.files.map(({ contents, ...file }) => {
      return contents.at === 'profile' ? { ...file, text: contents.text } : file;
    }),
    units: await Promise.all(
      profile.units.map(async ({ name, contents, enable }) => ({
        name,
        text: await textOf(contents),
        enable,
      })),
    ),
    epoch: facts.epoch,
  };
}

/** Files of the build machine, by the names that the tree stage looks for. */
export async function treeFiles(profile: Profile): Promise<Record<`file ${string}`, Input>> {
  const inputs: Record<`file ${string}`, Input> = {};
  for (const { path, contents } of profile.files) {
    if (contents.at !== 'file') continue;
    inputs[`file ${path}`] = { path: contents.path, digest: (await digestOf(contents.path)).sha256 };
  }
  return inputs;
}

function textOf(contents: Contents): Promise<string> | string {
  return contents.at === 'profile' ? contents.text : readFile(contents.path, 'utf8');
}

/** A manifest names every option by its digest: a short password could be guessed from that. */
function saltOf(siteKey: KeyObject): string {
  return createHmac('sha256', privateSeed(siteKey)).update('edgekiln registries').digest('hex');
}

/** An overlay of this installation. */
export async function overlayInput(concern: string): Promise<Input> {
  const path = overlayFolder(concern);
  return { path, digest: await digestOfOverlay(path) };
}

/** A file, with its digest. */
export async function fileInput(path: string): Promise<Input> {
  return { path, digest: (await digestOf(path)).sha256 };
}

/** Stands for the secrets without telling anything of them: made of the public halves. */
export async function keysDigest(
  devices: readonly { readonly name: string }[],
  keyring: Keyring,
  sitePublicKey: string,
): Promise<string> {
  const hash = createHash('sha256').update(sitePublicKey);
  for (const { name } of devices) hash.update(publicPem(await keyring.deviceKey(name)));
  return hash.digest('hex');
}

/** Bytes of the packages of a base as they are fetched: installed, without documentation, they take twice that. */
export function packedBytes({ install }: DebianSet): number {
  return install.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes of the archives of container images that the images stage made. */
export async function imageBytes(folder: string): Promise<number> {
  const listed = z.array(z.object({ size: z.int() }));
  const archives = listed.parse(JSON.parse(await readFile(join(folder, 'images.json'), 'utf8')));
  return archives.reduce((sum, { size }) => sum + size, 0);
}

/** Bytes that the filesystem of a slot takes, from the result of its stage. */
export async function slotBytes(folder: string): Promise<number> {
  const said = z.object({ mapped: z.int() });
  return said.parse(JSON.parse(await readFile(join(folder, 'slot.json'), 'utf8'))).mapped;
}
