// What the tree stage is given of a profile: its options, and the inputs that are files of the profile.
import { createHmac, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { renderPersist } from '../../formats/persist.ts';
import { digestOf } from '../artifacts/store.ts';
import { privateSeed } from '../keys/keyring.ts';
import type { Contents, Profile } from '../profile/profile.ts';
import type { TreeOptions } from '../stages/tree.ts';
import { addressTable, lanTemplate, proxyEnvironment } from '../tree/lan.ts';
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
